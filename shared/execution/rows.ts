import type { Rows } from '../operators/contract';

/** Rows that are gathered one by one; the arrays are used again and again. */
export class RowBuffer implements Rows {
  length = 0;
  readonly values: unknown[] = [];
  keys: string[] | null;
  readonly times: number[] = [];
  readonly marks: number[] = [];
  readonly origins: number[] = [];
  /** Null where nothing was handed on whole, and nothing need be joined to it. */
  #passed: Rows | null = null;

  constructor(isKeyed: boolean) {
    this.keys = isKeyed ? [] : null;
  }

  add(value: unknown, key: string, timeMs: number, markMs: number, origin: number): void {
    if (this.#passed !== null) this.#copyPassed();
    const at = this.length;
    this.values[at] = value;
    if (this.keys !== null) this.keys[at] = key;
    this.times[at] = timeMs;
    this.marks[at] = markMs;
    this.origins[at] = origin;
    this.length = at + 1;
  }

  pass(rows: Rows): void {
    if (rows.length === 0) return;
    if (this.length === 0 && this.#passed === null) this.#passed = rows;
    else this.#addAll(rows);
  }

  #copyPassed(): void {
    const passed = this.#passed;
    this.#passed = null;
    if (passed !== null) this.#addAll(passed);
  }

  #addAll(rows: Rows): void {
    for (let index = 0; index < rows.length; index += 1) addRow(this, rows, index);
  }

  /** What was gathered; null: nothing. */
  get rows(): Rows | null {
    if (this.#passed !== null) return this.#passed;
    return this.length === 0 ? null : this;
  }

  clear(): void {
    this.#passed = null;
    if (this.length === 0) return;
    // Values may be large: none is kept for the next segment. The array is.
    for (let at = 0; at < this.length; at += 1) this.values[at] = undefined;
    this.length = 0;
  }
}

export function addRow(to: RowBuffer, rows: Rows, index: number): void {
  to.add(
    rows.values[index],
    rows.keys?.[index] ?? '',
    rows.times[index] ?? 0,
    rows.marks[index] ?? -Infinity,
    rows.origins[index] ?? -1,
  );
}
