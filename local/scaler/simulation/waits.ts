/** How long events waited, in whole seconds from the second they came to the one they were processed in. */
export class Waits {
  readonly #eventsBySeconds: Float64Array;
  #total = 0;

  constructor(secondsMax: number) {
    this.#eventsBySeconds = new Float64Array(secondsMax);
  }

  add(seconds: number, events: number): void {
    this.#eventsBySeconds[seconds] = (this.#eventsBySeconds[seconds] ?? 0) + events;
    this.#total += events;
  }

  /** The wait that a share of all events did not exceed. */
  percentile(share: number): number {
    const wanted = share * this.#total;
    let seen = 0;
    let last = 0;
    for (let seconds = 0; seconds < this.#eventsBySeconds.length; seconds += 1) {
      const events = this.#eventsBySeconds[seconds] ?? 0;
      if (events === 0) continue;
      seen += events;
      last = seconds;
      if (seen >= wanted) return seconds;
    }
    return last;
  }

  get max(): number {
    return this.percentile(Number.POSITIVE_INFINITY);
  }
}
