/** Instances that run or start. Those that are to go, go at once: they only finish their batches. */
export class Instances {
  readonly #coldStartSeconds: number;
  #starting: { readonly readyAt: number; count: number }[] = [];
  #running: number;

  constructor(options: { readonly running: number; readonly coldStartMs: number }) {
    this.#running = options.running;
    this.#coldStartSeconds = Math.ceil(options.coldStartMs / 1_000);
  }

  get allocated(): number {
    return this.#starting.reduce((sum, { count }) => sum + count, this.#running);
  }

  /** Those that work in a second. */
  running(second: number): number {
    if (this.#starting.length === 0) return this.#running;
    for (const start of this.#starting) {
      if (start.readyAt <= second) this.#running += start.count;
    }
    this.#starting = this.#starting.filter(({ readyAt }) => readyAt > second);
    return this.#running;
  }

  /** Brings the allocated to a count; those that have not started yet go first. */
  resize(count: number, second: number): void {
    let change = count - this.allocated;
    if (change > 0) {
      this.#starting.push({ readyAt: second + this.#coldStartSeconds, count: change });
      return;
    }
    while (change < 0) {
      const last = this.#starting.at(-1);
      const taken = Math.min(-change, last?.count ?? this.#running);
      if (last === undefined) this.#running -= taken;
      else last.count -= taken;
      if (last?.count === 0) this.#starting.pop();
      change += taken;
    }
  }
}
