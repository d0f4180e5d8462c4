/** Deeper than any value is nested: what goes on from there goes round. */
const depthMax = 1_000;

/**
 * Values of stores without a codec, as they are kept: plain, so that the log can hold them, and frozen, so that
 * who reads one, or has put it, cannot change what the journal would undo and a commit write. What `update`
 * gave out may be changed while its row or timer is under way.
 */
export class KeptValues {
  /** What `update` gave out, with its store. */
  readonly #lent = new Map<object, string>();

  /** @throws TypeError: the log cannot hold it */
  keep(store: string, value: unknown): void {
    keepPlain(value, store, 0);
  }

  lend(store: string, value: unknown): void {
    if (typeof value === 'object' && value !== null) this.#lent.set(value, store);
    else this.keep(store, value);
  }

  /** The row or timer is done: what it changed in place is kept as it is now. @throws TypeError as `keep` */
  keepLent(): void {
    if (this.#lent.size === 0) return;
    for (const [value, store] of this.#lent) this.keep(store, value);
    this.#lent.clear();
  }

  /** It was undone. */
  forgetLent(): void {
    this.#lent.clear();
  }
}

function keepPlain(value: unknown, store: string, depth: number): void {
  switch (typeof value) {
    case 'object':
      if (value !== null) keepObject(value, store, depth);
      return;
    case 'function':
    case 'symbol':
      throw new TypeError(`store ${store}: a ${typeof value} cannot be kept in the state`);
    default:
  }
}

function keepObject(value: object, store: string, depth: number): void {
  if (depth >= depthMax) throw new TypeError(`store ${store}: the value is nested too deep`);
  if (Array.isArray(value)) {
    Object.freeze(value);
    for (let index = 0; index < value.length; index += 1) keepPlain(value[index], store, depth + 1);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new TypeError(
      `store ${store}: a ${value.constructor.name} cannot be kept in the state: keep plain objects, or give the store a codec`,
    );
  }
  Object.freeze(value);
  for (const name of Object.keys(value)) {
    keepPlain((value as Record<string, unknown>)[name], store, depth + 1);
  }
}

/** Freezes what was read from the log: it is plain. */
export function frozenPlain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  Object.freeze(value);
  if (Array.isArray(value)) for (const part of value) frozenPlain(part);
  else for (const name of Object.keys(value)) frozenPlain((value as Record<string, unknown>)[name]);
  return value;
}
