/** How far each partition of each hub goes, as the emulator's control port tells, over time. */
interface End {
  readonly atMs: number;
  /** The next message will have this sequence number. */
  readonly end: number;
}

export class HubEnds {
  readonly #url: string;
  readonly #ends = new Map<string, End[]>();

  constructor(controlPort: number) {
    this.#url = `http://127.0.0.1:${controlPort}/hubs`;
  }

  async look(): Promise<void> {
    const response = await fetch(this.#url, { signal: AbortSignal.timeout(5_000) });
    const { hubs } = (await response.json()) as {
      hubs: {
        name: string;
        partitions: { partition: string; lastSequenceNumber: number }[];
      }[];
    };
    const atMs = Date.now();
    for (const { name, partitions } of hubs) {
      for (const { lastSequenceNumber, partition } of partitions) {
        const ends = this.#of(name, partition);
        const end = lastSequenceNumber + 1;
        if (ends.at(-1)?.end !== end) ends.push({ atMs, end });
      }
    }
  }

  #of(hub: string, partition: string): End[] {
    const key = `${hub}/${partition}`;
    let ends = this.#ends.get(key);
    if (ends === undefined) this.#ends.set(key, (ends = []));
    return ends;
  }

  partitionsOf(hub: string): number {
    return Array.from(this.#ends.keys()).filter((key) => key.startsWith(`${hub}/`)).length;
  }

  /**
   * From when on, at or after `fromMs`, a message with this sequence number was seen in the hub.
   * Null: never.
   */
  waitingSinceMs(
    hub: string,
    partition: string,
    sequenceNumber: number,
    fromMs: number,
  ): number | null {
    const ends = this.#of(hub, partition);
    const then = ends.filter(({ atMs }) => atMs <= fromMs).at(-1);
    if (then !== undefined && then.end > sequenceNumber) return fromMs;
    return ends.find(({ atMs, end }) => atMs > fromMs && end > sequenceNumber)?.atMs ?? null;
  }
}
