import type { HubMessage, HubPartitionBounds, HubReader } from '../../model/ports';

/** A stretch of one partition: from a message to a message, both inclusive. */
export interface PartitionRange {
  readonly partition: string;
  readonly first: number;
  /** Below `first`: nothing. */
  readonly last: number;
}

/** A hub of which only a stretch is seen: what a backfill of it reads. */
export class HubRange implements HubReader {
  readonly #hub: HubReader;
  readonly #ranges: ReadonlyMap<string, PartitionRange>;

  constructor(hub: HubReader, ranges: readonly PartitionRange[]) {
    this.#hub = hub;
    this.#ranges = new Map(ranges.map((range) => [range.partition, range]));
  }

  async describe(): ReturnType<HubReader['describe']> {
    const { createdAtMs } = await this.#hub.describe();
    return { createdAtMs, partitionIds: Array.from(this.#ranges.keys()) };
  }

  async bounds(partitionId: string): Promise<HubPartitionBounds> {
    const range = this.#ranges.get(partitionId);
    const [first, last] = [range?.first ?? 0, range?.last ?? -1];
    return { firstSequenceNumber: first, lastSequenceNumber: last, isEmpty: last < first };
  }

  read(request: Parameters<HubReader['read']>[0]): Promise<readonly HubMessage[]> {
    const last = this.#ranges.get(request.partitionId)?.last ?? -1;
    const lastSequenceNumber = Math.min(request.lastSequenceNumber, last);
    return this.#hub.read({ ...request, lastSequenceNumber });
  }
}

/** The stretch of every partition that was enqueued in a time: from (inclusive), to (exclusive). */
export async function rangesOf(
  hub: HubReader,
  time: { readonly fromMs: number | null; readonly toMs: number | null },
): Promise<PartitionRange[]> {
  const ranges: PartitionRange[] = [];
  for (const partition of (await hub.describe()).partitionIds) {
    const bounds = await hub.bounds(partition);
    if (bounds.isEmpty) {
      ranges.push({ partition, first: 0, last: -1 });
      continue;
    }
    const whole = { first: bounds.firstSequenceNumber, last: bounds.lastSequenceNumber };
    const first =
      time.fromMs === null ? whole.first : await firstFrom(hub, partition, whole, time.fromMs);
    const last =
      time.toMs === null ? whole.last : (await firstFrom(hub, partition, whole, time.toMs)) - 1;
    ranges.push({ partition, first, last });
  }
  return ranges;
}

/** The first message that was enqueued at a time or later, by halving: times ascend. */
async function firstFrom(
  hub: HubReader,
  partitionId: string,
  whole: { readonly first: number; readonly last: number },
  timeMs: number,
): Promise<number> {
  let [low, high] = [whole.first, whole.last + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [message] = await hub.read({
      ...{ partitionId, firstSequenceNumber: middle, lastSequenceNumber: middle, messagesMax: 1 },
    });
    if (message !== undefined && message.enqueuedTimeMs < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
