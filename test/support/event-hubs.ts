/** Reading with the unmodified SDK, for tests of the Event Hubs emulator. */
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
