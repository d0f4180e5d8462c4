/** A value in a record's header that is not what the format says. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

/** Reads the fields of one JSON object, each with its type. Every method throws ShapeError. */
export class FieldReader {
  readonly #object: Readonly<Record<string, unknown>>;

  private constructor(object: Readonly<Record<string, unknown>>) {
    this.#object = object;
  }

  static of(value: unknown): FieldReader {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new ShapeError('an object is wanted');
    }
    return new FieldReader(value as Readonly<Record<string, unknown>>);
  }

  text(name: string): string {
    const value = this.#own(name);
    return typeof value === 'string' ? value : wrong(name, 'a text', value);
  }

  flag(name: string): boolean {
    const value = this.#own(name);
    return typeof value === 'boolean' ? value : wrong(name, 'true or false', value);
  }

  integer(name: string): number {
    const value = this.#own(name);
    return isInteger(value) ? value : wrong(name, 'an integer', value);
  }

  /** An integer from 0. */
  count(name: string): number {
    const value = this.#own(name);
    return isInteger(value) && value >= 0 ? value : wrong(name, 'an integer from 0', value);
  }

  oneOf<const Choice extends string>(name: string, choices: readonly Choice[]): Choice {
    const value = this.#own(name);
    const choice = choices.find((candidate) => candidate === value);
    return choice ?? wrong(name, `one of ${choices.join(', ')}`, value);
  }

  object(name: string): FieldReader {
    const value = this.#own(name);
    return isObject(value) ? FieldReader.of(value) : wrong(name, 'an object', value);
  }

  nullable<Value>(name: string, read: (name: string) => Value): Value | null {
    return this.#own(name) === null ? null : read(name);
  }

  list<Item>(name: string, read: (item: FieldReader) => Item): Item[] {
    return this.#array(name).map((item) => read(FieldReader.of(item)));
  }

  texts(name: string): string[] {
    return this.#array(name).map((item) =>
      typeof item === 'string' ? item : wrong(name, 'texts', item),
    );
  }

  /** [key, any JSON value] pairs. */
  pairs(name: string): [string, unknown][] {
    const array = this.#array(name);
    for (const item of array) {
      const isPair = Array.isArray(item) && item.length === 2 && typeof item[0] === 'string';
      if (!isPair) wrong(name, 'pairs of a key and a value', item);
    }
    return array as [string, unknown][];
  }

  /** The whole object as a map of integers from 0. */
  counts(): Record<string, number> {
    for (const name of Object.keys(this.#object)) this.count(name);
    return this.#object as Record<string, number>;
  }

  #array(name: string): unknown[] {
    const value = this.#own(name);
    return Array.isArray(value) ? (value as unknown[]) : wrong(name, 'a list', value);
  }

  #own(name: string): unknown {
    return Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
  }
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const shownCharactersMax = 60;

function wrong(name: string, wanted: string, found: unknown): never {
  const shown =
    found === undefined ? 'nothing' : JSON.stringify(found).slice(0, shownCharactersMax);
  throw new ShapeError(`${name} is to be ${wanted}, found ${shown}`);
}
