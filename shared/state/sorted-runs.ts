/** So many are sorted at once: a thousandth of a second, where all of them may take a pause that others feel. */
const runMax = 2_048;

interface Run {
  readonly keys: readonly string[];
  /** Those before it are taken. */
  position: number;
}

/**
 * Keys that come in any order and go in ascending order. They are sorted in short runs as they come, and the
 * runs are merged as keys go: neither to add one nor to take one ever costs all of them. A key may be there
 * several times.
 */
export class SortedRuns {
  /** Those that came last, in the order in which they came. */
  #open: string[] = [];
  /** A heap by the key that each run has next; none of them is empty. */
  readonly #runs: Run[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(key: string): void {
    this.#length += 1;
    this.#open.push(key);
    if (this.#open.length >= runMax) this.#close();
  }

  /** Takes the key out if it came last. */
  removeLast(key: string): boolean {
    if (this.#open.at(-1) !== key) return false;
    this.#open.pop();
    this.#length -= 1;
    return true;
  }

  /** The least key; it stays. */
  least(): string | undefined {
    if (this.#open.length > 0) this.#close();
    const [run] = this.#runs;
    return run === undefined ? undefined : next(run);
  }

  /** Takes the key out if it is the least of those that are in order. */
  removeLeast(key: string): boolean {
    const [run] = this.#runs;
    if (run === undefined || next(run) !== key) return false;
    run.position += 1;
    this.#length -= 1;
    if (run.position < run.keys.length) this.#sink(run);
    else {
      const last = this.#runs.pop();
      if (last !== undefined && last !== run) this.#sink(last);
    }
    return true;
  }

  /** All of them, in no order. */
  *keys(): Generator<string> {
    for (const { keys, position } of this.#runs) yield* keys.slice(position);
    yield* this.#open;
  }

  #close(): void {
    const run = { keys: this.#open.sort(compare), position: 0 };
    this.#open = [];
    const runs = this.#runs;
    let at = runs.length;
    runs.push(run);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      const above = runs[parent];
      if (above === undefined || next(above) <= next(run)) break;
      runs[at] = above;
      at = parent;
    }
    runs[at] = run;
  }

  /** Puts a run where the first was, and in its place from there. */
  #sink(run: Run): void {
    const runs = this.#runs;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let below = runs[child];
      if (below === undefined) break;
      const other = runs[child + 1];
      if (other !== undefined && next(other) < next(below)) {
        child += 1;
        below = other;
      }
      if (next(below) >= next(run)) break;
      runs[at] = below;
      at = child;
    }
    runs[at] = run;
  }
}

function next({ keys, position }: Run): string {
  return keys[position] ?? '';
}

function compare(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}
