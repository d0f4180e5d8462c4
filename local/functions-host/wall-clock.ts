/** What clocks on the wall of a time zone show, as milliseconds since 1970 as if they showed UTC. */
export class WallClock {
  readonly #format: Intl.DateTimeFormat;

  /** Undefined: the machine's zone. */
  constructor(timeZone: string | undefined) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      ...(timeZone !== undefined && { timeZone }),
      ...{ year: 'numeric', month: 'numeric', day: 'numeric' },
      ...{ hour: 'numeric', minute: 'numeric', second: 'numeric', hourCycle: 'h23' },
    });
  }

  shownAt(timeMs: number): number {
    const part: Record<string, number> = {};
    for (const { type, value } of this.#format.formatToParts(timeMs)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) + (timeMs % 1_000);
  }

  /**
   * The time that .NET takes for what these clocks never show, since they are put forward past it:
   * as if they were put forward later. Null: they do show it.
   */
  skipped(shownMs: number): number | null {
    const offsets = [-dayMs, dayMs].map((distance) => {
      const nearMs = shownMs + distance;
      return this.shownAt(nearMs) - nearMs;
    });
    const times = offsets.map((offsetMs) => shownMs - offsetMs);
    return times.some((timeMs) => this.shownAt(timeMs) === shownMs) ? null : (times[0] ?? null);
  }
}

/** Further than any clock is from UTC, and nearer than two changes of the clocks are. */
const dayMs = 86_400_000;
