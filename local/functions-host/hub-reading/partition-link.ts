import { randomUUID } from 'node:crypto';
import type * as rhea from 'rhea';
import { types } from 'rhea';
import { HubError } from './hub-error';
import type { MessageSink, TransferReader } from './transfer-reader';

/** Descriptor of a selector filter (Apache, registered for AMQP 1.0 filters). */
const selectorDescriptor = 0x0000468c00000004;
const selectorKey = 'apache.org:selector-filter:string';
const settledWhenSent = 1;

export interface PartitionLinkOptions {
  readonly eventHubName: string;
  readonly consumerGroup: string;
  readonly partitionId: string;
  /** Which of two readers loses: the one with the lower level, or the earlier at the same level. */
  readonly ownerLevel: number;
  readonly identifier: string;
  readonly selector: string;
  /** Events that may come before `addCredit`. */
  readonly credit: number;
  readonly timeoutMs: number;
  /** Gets each message, encoded. When it throws, the link ends with that error. */
  readonly onMessage: MessageSink;
}

/** A link on which events of one partition come, until it ends: by us, by the hub, or by a fault. */
export class PartitionLink {
  /** Resolves once: null after `close`, else why the link ended. Never rejects. */
  readonly ended: Promise<HubError | null>;
  readonly #receiver: rhea.Receiver;
  readonly #session: rhea.Session;
  readonly #transfers: TransferReader;
  #end: (error: HubError | null) => void = () => undefined;
  #isOver = false;
  #openedAtMs: number | null = null;

  constructor(
    connection: rhea.Connection,
    transfers: TransferReader,
    options: PartitionLinkOptions,
  ) {
    this.#transfers = transfers;
    this.#session = connection.create_session();
    this.#session.open();
    const what = `${options.eventHubName}, partition ${options.partitionId}`;
    this.#receiver = this.#session.open_receiver({
      name: `${options.partitionId}-${randomUUID()}`,
      source: {
        address: `${options.eventHubName}/ConsumerGroups/${options.consumerGroup}/Partitions/${options.partitionId}`,
        filter: { [selectorKey]: types.wrap_described(options.selector, selectorDescriptor) },
      } as unknown as rhea.Source,
      target: { address: options.identifier },
      properties: {
        'com.microsoft:epoch': types.wrap_long(options.ownerLevel),
        'com.microsoft:receiver-name': options.identifier,
      },
      snd_settle_mode: settledWhenSent,
      credit_window: 0,
      autoaccept: false,
    });
    const unanswered = setTimeout(
      () => this.#finish(HubError.connectionLost(`${what}: no link in ${options.timeoutMs} ms`)),
      options.timeoutMs,
    );
    this.ended = new Promise((resolve) => {
      this.#end = (error) => {
        clearTimeout(unanswered);
        resolve(error);
      };
    });
    this.#receiver.once('receiver_open', () => {
      clearTimeout(unanswered);
      this.#openedAtMs = performance.now();
    });
    const failed = ({ receiver, session }: rhea.EventContext): void => {
      const { condition, description } = (receiver?.error ?? session?.error ?? {}) as {
        readonly condition?: string;
        readonly description?: string;
      };
      const reason = `${what}: ${description ?? 'the hub ended the link'}`;
      this.#finish(new HubError(condition ?? 'amqp:link:detach-forced', reason));
    };
    for (const event of ['receiver_error', 'receiver_close', 'session_error', 'session_close']) {
      this.#session.on(event, failed);
    }
    transfers.follow(this.#receiver, (bytes, start, end) => {
      if (this.#isOver) return;
      try {
        options.onMessage(bytes, start, end);
      } catch (error) {
        this.#finish(new HubError('amqp:decode-error', `${what}: ${(error as Error).message}`));
      }
    });
    this.#receiver.add_credit(options.credit);
  }

  /** How long ago the hub opened the link; 0: it did not. */
  get openForMs(): number {
    return this.#openedAtMs === null ? 0 : performance.now() - this.#openedAtMs;
  }

  /** Lets so many more events come. */
  addCredit(events: number): void {
    if (!this.#isOver) this.#receiver.add_credit(events);
  }

  /** Nothing comes from here on. */
  close(): void {
    this.#finish(null);
  }

  /** The connection is gone, and the link with it. */
  connectionEnded(error: HubError): void {
    this.#transfers.forget(this.#receiver);
    this.#finish(error);
  }

  #finish(error: HubError | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // What is on its way still passes through the reader, which drops it until the link is gone.
    this.#receiver.once('receiver_close', () => this.#transfers.forget(this.#receiver));
    this.#receiver.close();
    this.#session.close();
    this.#end(error);
  }
}
