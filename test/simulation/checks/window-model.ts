import {
  graceMs,
  pairMs,
  pairsName,
  pairsTable,
  windowMs,
  windowsName,
  windowTable,
  type Shape,
} from '../world/topology';

interface WindowSettings {
  readonly name: string;
  readonly sizeMs: number;
  readonly table: string;
}

/** The windows that a build has. */
export function windowsOf({ isPaired }: Shape): readonly WindowSettings[] {
  const minutes = { name: windowsName, sizeMs: windowMs, table: windowTable };
  const pairs = { name: pairsName, sizeMs: pairMs, table: pairsTable };
  return isPaired ? [minutes, pairs] : [minutes];
}

/** One window of a task: a plain fold. */
export class WindowModel {
  readonly name: string;
  readonly table: string;
  /** The build under way has it. */
  isAtWork = false;
  /** Results that were given out, as JSON rows; events that are in them. */
  readonly given: string[] = [];
  /** Events that were in what was given up. */
  eventsGivenUp = 0;
  eventsTaken = 0;
  readonly #sizeMs: number;
  readonly #open = new Map<number, Map<string, { orders: number; total: number }>>();
  /** Results that are due, in their order. */
  #due: { readonly key: string; readonly orders: number; readonly row: string }[] = [];

  constructor({ name, sizeMs, table }: WindowSettings) {
    this.name = name;
    this.table = table;
    this.#sizeMs = sizeMs;
  }

  get isAllOut(): boolean {
    return this.#open.size === 0 && this.#due.length === 0;
  }

  /** False: it is late. */
  add(event: { key: string; timeMs: number; amount: number }, passedMs: number): boolean {
    const start = Math.floor(event.timeMs / this.#sizeMs) * this.#sizeMs;
    if (start + this.#sizeMs + graceMs <= passedMs) return false;
    const keys = this.#open.get(start) ?? new Map<string, { orders: number; total: number }>();
    this.#open.set(start, keys);
    const { orders, total } = keys.get(event.key) ?? { orders: 0, total: 0 };
    keys.set(event.key, { orders: orders + 1, total: total + event.amount });
    this.eventsTaken += 1;
    return true;
  }

  fire(watermarkMs: number): void {
    const due = Array.from(this.#open.keys())
      .filter((start) => start + this.#sizeMs + graceMs <= watermarkMs)
      .sort((left, right) => left - right);
    for (const start of due) {
      const keys = Array.from(this.#open.get(start) ?? []).sort(([a], [b]) => (a < b ? -1 : 1));
      for (const [key, { orders, total }] of keys) {
        this.#due.push({ key, orders, row: JSON.stringify([key, start, orders, total]) });
      }
      this.#open.delete(start);
    }
  }

  /** The next results, so many of them as are due. */
  next(count: number): readonly string[] {
    const rows = this.#due.splice(0, count).map(({ row }) => row);
    this.given.push(...rows);
    return rows;
  }

  /** Keys that something is open for, or due. */
  get openKeys(): number {
    const keys = new Set(this.#due.map(({ key }) => key));
    for (const window of this.#open.values()) for (const key of window.keys()) keys.add(key);
    return keys.size;
  }

  /** Somebody has decided that what is open is not wanted any more. */
  giveUp(): void {
    for (const { orders } of this.#due) this.eventsGivenUp += orders;
    for (const window of this.#open.values()) {
      for (const { orders } of window.values()) this.eventsGivenUp += orders;
    }
    this.#due = [];
    this.#open.clear();
  }
}
