import type { StoredPlace } from '../world/hubs';
import type { ExpectedEvent } from '../world/workload';

interface RecordedPartition {
  readonly bodies: Buffer[];
  readonly expected: (readonly ExpectedEvent[])[];
  readonly enqueuedTimesMs: number[];
  /** Messages before this one can no longer be read. */
  first: number;
}

/** All that hubs ever stored, by incarnation, retention or not: what the oracle folds over. */
export class RecordedHubs {
  readonly #partitions = new Map<string, RecordedPartition>();
  readonly #incarnations = new Map<string, string>();
  #next: readonly ExpectedEvent[] = [];

  /** A hub begins its life, or another one: from now on messages belong to that. */
  begin(hub: string, createdAtMs: number): void {
    for (const [name, partition] of this.#partitions) {
      if (name.startsWith(`${hub}/`)) partition.first = Infinity;
    }
    this.#incarnations.set(hub, String(createdAtMs).padStart(15, '0'));
  }

  incarnation(hub: string): string {
    return this.#incarnations.get(hub) ?? '';
  }

  /** What must become of the events in the message that is stored next. */
  expectNext(events: readonly ExpectedEvent[]): void {
    this.#next = events;
  }

  stored(hub: string, place: StoredPlace, body: Buffer): void {
    const partition = this.partition(hub, this.incarnation(hub), String(place.partition));
    partition.bodies[place.sequenceNumber] = body;
    partition.expected[place.sequenceNumber] = this.#next;
    partition.enqueuedTimesMs[place.sequenceNumber] = place.enqueuedTimeMs;
    this.#next = [];
  }

  truncated(hub: string, partition: number, first: number): void {
    this.partition(hub, this.incarnation(hub), String(partition)).first = first;
  }

  partition(hub: string, incarnation: string, partition: string): RecordedPartition {
    const name = `${hub}/${incarnation}/${partition}`;
    let recorded = this.#partitions.get(name);
    if (recorded === undefined) {
      recorded = { bodies: [], expected: [], enqueuedTimesMs: [], first: 0 };
      this.#partitions.set(name, recorded);
    }
    return recorded;
  }
}
