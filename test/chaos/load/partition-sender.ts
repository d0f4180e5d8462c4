/**
 * The one writer of a partition. A send whose answer is lost may have arrived or not; since nobody
 * else writes here, the hub's last sequence number tells which, and every message is there once.
 */
import { EventHubProducerClient } from '@azure/event-hubs';

const retryPauseMs = 200;
/** After a failed send: what its connection still carried has arrived by then, or never will. */
const settlePauseMs = 300;
const sendTimeoutMs = 4_000;

export class PartitionSender {
  readonly #where: { readonly connectionString: string; readonly hub: string };
  readonly #partition: string;
  #producer: EventHubProducerClient;
  /** Messages that the hub of now holds. */
  #arrived = 0;
  /** Sends whose outcome had to be asked for. */
  askedFor = 0;

  constructor(connectionString: string, hub: string, partition: number) {
    this.#where = { connectionString, hub };
    this.#partition = String(partition);
    this.#producer = this.#connect();
  }

  #connect(): EventHubProducerClient {
    return new EventHubProducerClient(this.#where.connectionString, this.#where.hub, {
      // No second try by the SDK: it would send again what had arrived.
      retryOptions: { maxRetries: 0, timeoutInMs: sendTimeoutMs },
    });
  }

  /** Resolves when the hub holds each of them, once, in this order. */
  async send(bodies: readonly Uint8Array[]): Promise<void> {
    let done = 0;
    while (done < bodies.length) {
      try {
        const batch = await this.#producer.createBatch({ partitionId: this.#partition });
        while (done + batch.count < bodies.length) {
          if (!batch.tryAdd({ body: Buffer.from(bodies[done + batch.count] ?? []) })) break;
        }
        if (batch.count === 0) throw new RangeError('a message is over the limit of a batch');
        await this.#producer.sendBatch(batch);
        done += batch.count;
        this.#arrived += batch.count;
      } catch (error) {
        if (error instanceof RangeError) throw error;
        this.askedFor += 1;
        await this.#producer.close().catch(() => undefined);
        await pause(settlePauseMs);
        this.#producer = this.#connect();
        const landed = (await this.#lastSequenceNumber()) + 1 - this.#arrived;
        if (landed < 0 || landed > bodies.length - done) throw this.#strange(landed);
        done += landed;
        this.#arrived += landed;
      }
    }
  }

  /** The hub was created again and is empty. */
  beginAnew(): void {
    this.#arrived = 0;
  }

  /** @throws Error when the hub holds other than what was sent: then the run proves nothing. */
  async check(): Promise<void> {
    const there = (await this.#lastSequenceNumber()) + 1;
    if (there !== this.#arrived) throw this.#strange(there - this.#arrived);
  }

  async #lastSequenceNumber(): Promise<number> {
    for (;;) {
      try {
        const { lastEnqueuedSequenceNumber } = await this.#producer.getPartitionProperties(
          this.#partition,
        );
        return lastEnqueuedSequenceNumber;
      } catch {
        // The hub is away or refuses: that is what the run is for.
        await pause(retryPauseMs);
        await this.#producer.close().catch(() => undefined);
        this.#producer = this.#connect();
      }
    }
  }

  #strange(surplus: number): Error {
    return new Error(
      `${this.#where.hub}/${this.#partition} holds ${surplus} messages more than this run sent: ` +
        'the emulator lost or doubled some, and no oracle can be right',
    );
  }

  async close(): Promise<void> {
    await this.#producer.close();
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
