import { isObject, type Fault, type Json } from './json-file';
import { parseTimeSpan } from './time-span';

/**
 * Reads fields of one section of a settings file, by their names in any case as the platform does; what
 * is wrong is gathered, not thrown.
 */
export class SettingReader {
  readonly #section: Json;
  readonly #path: string;
  readonly #file: string;
  readonly #faults: Fault[];

  constructor(section: Json, place: { file: string; path: string; faults: Fault[] }) {
    this.#section = section;
    this.#path = place.path;
    this.#file = place.file;
    this.#faults = place.faults;
  }

  /** The section under a name; an empty one when it is absent. */
  section(name: string): SettingReader {
    const value = this.#valueOf(name) ?? {};
    if (!isObject(value)) this.fault(name, 'must be an object');
    return new SettingReader(isObject(value) ? value : {}, {
      file: this.#file,
      path: this.#pathOf(name),
      faults: this.#faults,
    });
  }

  #valueOf(name: string): unknown {
    const written = Object.keys(this.#section).find(
      (one) => one.toLowerCase() === name.toLowerCase(),
    );
    return written === undefined ? undefined : this.#section[written];
  }

  get names(): readonly string[] {
    return Object.keys(this.#section);
  }

  has(name: string): boolean {
    return this.#valueOf(name) !== undefined && this.#valueOf(name) !== null;
  }

  raw(name: string): unknown {
    return this.#valueOf(name);
  }

  whole(name: string, range: { min: number; max?: number; fallback: number }): number {
    const given = this.#valueOf(name) ?? range.fallback;
    // .NET's configuration has texts alone: a number in quotes is one.
    const value = typeof given === 'string' && /^-?\d+$/.test(given) ? Number(given) : given;
    const { max = Number.MAX_SAFE_INTEGER, min } = range;
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) {
      return value as number;
    }
    const upper = range.max === undefined ? `of at least ${min}` : `from ${min} to ${range.max}`;
    this.fault(name, `must be a whole number ${upper}, not ${JSON.stringify(value)}`);
    return range.fallback;
  }

  text(name: string, fallback: string): string {
    const value = this.#valueOf(name) ?? fallback;
    if (typeof value === 'string') return value;
    this.fault(name, `must be a text, not ${JSON.stringify(value)}`);
    return fallback;
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.#valueOf(name) ?? fallback;
    if (typeof value === 'boolean') return value;
    if (/^(?:true|false)$/i.test(String(value))) return String(value).toLowerCase() === 'true';
    this.fault(name, `must be true or false, not ${JSON.stringify(value)}`);
    return fallback;
  }

  choice<const Choice extends string>(
    name: string,
    choices: readonly Choice[],
    fallback: Choice,
  ): Choice {
    const value = this.#valueOf(name) ?? fallback;
    const chosen = choices.find(
      (choice) => typeof value === 'string' && choice.toLowerCase() === value.toLowerCase(),
    );
    if (chosen !== undefined) return chosen;
    this.fault(name, `must be one of ${choices.join(', ')}, not ${JSON.stringify(value)}`);
    return fallback;
  }

  /** A list of texts, or an object whose names are places in it; null: absent. */
  texts(name: string): readonly string[] | null {
    if (!this.has(name)) return null;
    const value = this.#valueOf(name);
    const list = isObject(value) ? Object.values(value) : value;
    if (Array.isArray(list) && list.every((one) => typeof one === 'string')) return list;
    this.fault(name, `must be a list of texts, not ${JSON.stringify(value)}`);
    return null;
  }

  /** A time span as milliseconds. */
  span(name: string, fallbackMs: number, maxMs = Number.POSITIVE_INFINITY): number {
    if (!this.has(name)) return fallbackMs;
    const value = this.#valueOf(name);
    const milliseconds = typeof value === 'string' ? parseTimeSpan(value) : null;
    if (milliseconds !== null && milliseconds <= maxMs) return milliseconds;
    const limit = Number.isFinite(maxMs) ? ` of at most ${maxMs / 1000} seconds` : '';
    this.fault(
      name,
      `must be a time span${limit} such as "00:05:00", not ${JSON.stringify(value)}`,
    );
    return fallbackMs;
  }

  /** Names other than these are faults: the platform would ignore a misspelt one in silence. */
  onlyKnows(names: readonly string[]): void {
    for (const name of Object.keys(this.#section)) {
      if (names.some((known) => known.toLowerCase() === name.toLowerCase())) continue;
      const near = names.find((known) => isNear(known.toLowerCase(), name.toLowerCase()));
      const hint = near === undefined ? `known are ${names.join(', ')}` : `did you mean ${near}?`;
      this.fault(name, `unknown name (${hint})`);
    }
  }

  fault(name: string, message: string): void {
    this.#faults.push({ file: this.#file, path: this.#pathOf(name), message });
  }

  #pathOf(name: string): string {
    return [this.#path, name].filter((part) => part !== '').join('.');
  }
}

/** At most two letters differ: put in, left out, or another. */
function isNear(left: string, right: string): boolean {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return (row.at(-1) ?? 0) <= 2;
}
