import type { RecordedHubs } from '../checks/recorded-hubs';
import type { Faults } from './faults';
import type { WatchedHub } from './hubs';
import type { Random } from './random';
import type { Scheduler } from './scheduler';
import type { SourceMessage, Workload } from './workload';

export interface ProducerOptions {
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly random: Random;
  readonly hub: WatchedHub;
  readonly recorded: RecordedHubs;
  readonly workload: Workload;
  /** Between two messages, on average. */
  readonly everyMs: number;
}

/** Sends a run's messages into its source hub: one now and then, or nothing for a while and many at once. */
export async function produce(options: ProducerOptions): Promise<void> {
  const { everyMs, faults, random, scheduler, workload } = options;
  while (!workload.isDone) {
    await scheduler.sleep(null, 'produces', random.below(2 * everyMs));
    if (!faults.strikes('burst', 0.15)) {
      send(options, workload.next());
      continue;
    }
    // Long enough for every partition to be claimed to be idle. Then all that comes was there before any
    // of it was read: whoever catches up first must not make the others late.
    await scheduler.sleep(null, 'is silent', random.between(2_000, 30_000));
    const messages = workload.burst(random.between(5, 30));
    for (const message of messages) send(options, message);
  }
}

function send({ hub, random, recorded }: ProducerOptions, message: SourceMessage): void {
  recorded.expectNext(message.events);
  hub.append(random.below(hub.partitionCount), message.body);
}
