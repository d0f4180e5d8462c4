/** Reading with the unmodified SDK, for tests of the Event Hubs emulator. */
import type { Socket } from 'node:net';
import type {
  EventHubConsumerClient,
  EventPosition,
  ReceivedEventData,
  SubscribeOptions,
} from '@azure/event-hubs';

/** Receives `count` events of one partition and ends the subscription; rejects with its error. */
export function receive(
  consumer: EventHubConsumerClient,
  options: {
    readonly partition: string;
    readonly count: number;
    readonly startPosition: EventPosition;
    readonly subscribe?: SubscribeOptions;
    /** Called when the link is there: what is sent from now on is later than `latest`. */
    readonly onOpen?: () => void;
  },
): Promise<ReceivedEventData[]> {
  const { count, partition, startPosition, subscribe } = options;
  return new Promise((resolve, reject) => {
    const found: ReceivedEventData[] = [];
    const end = (finish: () => void): void => {
      void subscription.close().then(finish, reject);
    };
    const subscription = consumer.subscribe(
      partition,
      {
        processEvents: async (events) => {
          if (found.length >= count) return;
          found.push(...events);
          if (found.length >= count) end(() => resolve(found));
        },
        processError: async (error) => end(() => reject(error)),
      },
      { maxBatchSize: 500, maxWaitTimeInSeconds: 60, startPosition, ...subscribe },
    );
  });
}

/** What an SDK client keeps of its connection (@azure/event-hubs 6.0.4 over rhea-promise 3.0.3). */
interface ClientInternals {
  /** Renews tokens, until a sender's link has closed. */
  readonly _sendersMap?: ReadonlyMap<string, { readonly authLoop?: { stop(): void } }>;
  readonly _context?: {
    readonly connection?: {
      readonly _connection?: {
        readonly socket?: Socket;
        set_reconnect(reconnect: boolean): void;
      };
    };
  };
}

const closeMs = 5_000;

/**
 * Closes a client, and ends its connection when that does not settle in time: the SDK's `close()`
 * waits for ever for the answer to a link's detach when its server died in between. Rejects as
 * `close()` does.
 */
export async function closeClient(client: { close(): Promise<void> }): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeOut = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      const { _context, _sendersMap } = client as ClientInternals;
      for (const sender of _sendersMap?.values() ?? []) sender.authLoop?.stop();
      const connection = _context?.connection?._connection;
      connection?.set_reconnect(false);
      // With an error, because that is when rhea lets go of the connection and its timers.
      connection?.socket?.destroy(new Error('the client was not closed in time'));
      resolve();
    }, closeMs);
  });
  const closed = client.close();
  // Once the time is up nobody asks what became of it.
  closed.catch(() => undefined);
  try {
    await Promise.race([closed, timeOut]);
  } finally {
    clearTimeout(timer);
  }
}
