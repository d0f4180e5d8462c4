import type { EventHubConsumerClient, EventHubProducerClient } from '@azure/event-hubs';
import { StreamError } from '../model/errors';
import type {
  HubMessage,
  HubPartitionBounds,
  HubRange,
  HubReader,
  HubSender,
} from '../model/ports';

/** A read that brings nothing for this long has failed: the hub does hold what was asked for. */
const readQuietMaxMs = 20_000;
const readWaitSeconds = 1;
/** Messages of one piece of a long range: they may be of 1 MiB each. */
const scanBatchMessages = 500;

/** Both clients reconnect quickly: a stage cannot go on without its hub. */
export const hubRetryOptions = {
  maxRetries: 8,
  retryDelayInMs: 250,
  maxRetryDelayInMs: 5_000,
  mode: 0,
  timeoutInMs: 20_000,
} as const;

/** Reads hub partitions by position, outside any trigger: for gaps and for stalled tasks. */
export class EventHubReader implements HubReader {
  readonly #client: EventHubConsumerClient;

  constructor(client: EventHubConsumerClient) {
    this.#client = client;
  }

  async describe(): ReturnType<HubReader['describe']> {
    const hub = await this.#reaching('describe', () => this.#client.getEventHubProperties());
    return { createdAtMs: hub.createdOn.getTime(), partitionIds: hub.partitionIds };
  }

  async bounds(partitionId: string): Promise<HubPartitionBounds> {
    const partition = await this.#reaching('bounds', () =>
      this.#client.getPartitionProperties(partitionId),
    );
    return {
      firstSequenceNumber: partition.beginningSequenceNumber,
      lastSequenceNumber: partition.lastEnqueuedSequenceNumber,
      isEmpty: partition.isEmpty,
      lastEnqueuedAtMs: partition.lastEnqueuedOnUtc.getTime(),
    };
  }

  async read(request: Parameters<HubReader['read']>[0]): Promise<readonly HubMessage[]> {
    const messages: HubMessage[] = [];
    await this.#receive(request, async (news) => {
      messages.push(...news.slice(0, request.messagesMax - messages.length));
      return messages.length >= request.messagesMax;
    });
    return messages;
  }

  async scan(
    range: HubRange,
    take: (messages: readonly HubMessage[]) => Promise<void>,
  ): Promise<void> {
    await this.#receive({ ...range, messagesMax: scanBatchMessages }, async (news) => {
      await take(news);
      return false;
    });
  }

  /** @param take says whether it has enough; it is not called again before it has answered */
  async #receive(
    request: HubRange & { readonly messagesMax: number },
    take: (messages: readonly HubMessage[]) => Promise<boolean>,
  ): Promise<void> {
    const bounds = await this.bounds(request.partitionId);
    const first = Math.max(request.firstSequenceNumber, bounds.firstSequenceNumber);
    const last = Math.min(request.lastSequenceNumber, bounds.lastSequenceNumber);
    if (bounds.isEmpty || first > last) return;
    let failure: { readonly error: unknown } | null = null;
    await this.#reaching('read', () =>
      this.#subscribe({ ...request, first, last }, async (messages) => {
        try {
          return await take(messages);
        } catch (error) {
          // The taker's own: no fault of the hub.
          failure = { error };
          return true;
        }
      }),
    );
    if (failure !== null) throw (failure as { readonly error: unknown }).error;
  }

  async #subscribe(
    range: { partitionId: string; first: number; last: number; messagesMax: number },
    take: (messages: readonly HubMessage[]) => Promise<boolean>,
  ): Promise<void> {
    let quietMs = 0;
    await new Promise<void>((resolve, reject) => {
      const subscription = this.#client.subscribe(
        range.partitionId,
        {
          processEvents: async (events) => {
            if (isSettled) return;
            quietMs = events.length === 0 ? quietMs + readWaitSeconds * 1000 : 0;
            const reached = events.at(-1)?.sequenceNumber ?? -1;
            const messages = events
              .filter(({ sequenceNumber }) => sequenceNumber <= range.last)
              .map(toHubMessage);
            const isEnough = messages.length > 0 && (await take(messages));
            if (isEnough || reached >= range.last) settle(resolve);
            if (quietMs >= readQuietMaxMs) {
              settle(() => reject(new Error(`nothing came for ${quietMs} ms`)));
            }
          },
          processError: async (error) => settle(() => reject(error)),
        },
        {
          startPosition: { sequenceNumber: range.first, isInclusive: true },
          maxBatchSize: Math.min(range.messagesMax, range.last - range.first + 1),
          maxWaitTimeInSeconds: readWaitSeconds,
          skipParsingBodyAsJson: true,
        },
      );
      let isSettled = false;
      // Closing from inside a callback would wait for that callback: step out of it first.
      function settle(finish: () => void): void {
        if (isSettled) return;
        isSettled = true;
        setImmediate(() => {
          subscription.close().then(finish, reject);
        });
      }
    });
  }

  async #reaching<Result>(operation: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (cause) {
      throw unavailable(operation, this.#client.eventHubName, cause);
    }
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}

/** Sends to exchange hubs; one client per hub, made on first use. */
export class EventHubSender implements HubSender {
  readonly #connect: (hub: string) => EventHubProducerClient;
  readonly #clients = new Map<string, EventHubProducerClient>();

  constructor(connect: (hub: string) => EventHubProducerClient) {
    this.#connect = connect;
  }

  async partitionCount(hub: string): Promise<number> {
    try {
      return (await this.#client(hub).getPartitionIds()).length;
    } catch (cause) {
      throw unavailable('partitionCount', hub, cause);
    }
  }

  async send(request: Parameters<HubSender['send']>[0]): Promise<void> {
    const client = this.#client(request.hub);
    const options = { partitionId: String(request.partition) };
    try {
      let batch = await client.createBatch(options);
      for (const body of request.bodies) {
        if (batch.tryAdd({ body })) continue;
        await client.sendBatch(batch);
        batch = await client.createBatch(options);
        if (!batch.tryAdd({ body })) {
          throw new Error(`a message of ${body.byteLength} bytes is over the hub's limit`);
        }
      }
      if (batch.count > 0) await client.sendBatch(batch);
    } catch (cause) {
      throw unavailable('send', request.hub, cause);
    }
  }

  #client(hub: string): EventHubProducerClient {
    let client = this.#clients.get(hub);
    if (client === undefined) this.#clients.set(hub, (client = this.#connect(hub)));
    return client;
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#clients.values(), (client) => client.close()));
  }
}

function toHubMessage(event: {
  body: unknown;
  sequenceNumber: number;
  enqueuedTimeUtc: Date;
}): HubMessage {
  return {
    sequenceNumber: event.sequenceNumber,
    enqueuedTimeMs: event.enqueuedTimeUtc.getTime(),
    body: bytesOf(event.body),
  };
}

/** A body that is not bytes was sent as an AMQP value: its JSON stands for it. */
function bytesOf(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return body;
  return Buffer.from(typeof body === 'string' ? body : (JSON.stringify(body) ?? ''));
}

/** A host name with several addresses fails with one error for each, and none for all. */
export function hubFailureReason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if (cause.message !== '') return cause.message;
  const each = cause instanceof AggregateError ? cause.errors.map(hubFailureReason).join(', ') : '';
  return each || ('code' in cause ? String(cause.code) : cause.name);
}

function unavailable(operation: string, hub: string, cause: unknown): StreamError {
  const reason = hubFailureReason(cause);
  return new StreamError('STREAM_HUB_UNAVAILABLE', `${operation} on hub ${hub}: ${reason}`, {
    cause,
    details: { operation, hub },
  });
}
