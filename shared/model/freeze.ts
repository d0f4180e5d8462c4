/**
 * Values that two consumers are given: neither may see what the other does to them.
 */

/**
 * Freezes a value with all that it holds.
 * @returns true: it holds what cannot be frozen (a date, a map, bytes), so that each needs a copy of its own
 */
export function freezeDeep(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return freezeObject(value, null);
}

function freezeObject(value: object, met: Set<object> | null): boolean {
  if (holdsHiddenState(value)) return true;
  if (Object.isFrozen(value)) {
    // Somebody else froze it, and perhaps not what it holds; or it goes round.
    met ??= new Set();
    if (met.has(value)) return false;
    met.add(value);
  } else {
    Object.freeze(value);
  }
  let isOpen = false;
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) {
      if (typeof item === 'object' && item !== null && freezeObject(item, met)) isOpen = true;
    }
    return isOpen;
  }
  for (const name in value) {
    if (!Object.hasOwn(value, name)) continue;
    const item = (value as Record<string, unknown>)[name];
    if (typeof item === 'object' && item !== null && freezeObject(item, met)) isOpen = true;
  }
  return isOpen;
}

/** It can be changed although it is frozen. */
function holdsHiddenState(value: object): boolean {
  return (
    value instanceof Date ||
    value instanceof Map ||
    value instanceof Set ||
    ArrayBuffer.isView(value) ||
    value instanceof ArrayBuffer
  );
}

/** A frozen copy that shares nothing that can be changed: dates, maps, sets and bytes are copied too. */
export function ownCopy(value: unknown): unknown {
  const copy = deepCopy(value);
  freezeDeep(copy);
  return copy;
}

/** A copy that shares nothing that can be changed, and may be changed itself. */
export function deepCopy<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value;
  return copyOf(value, new Map()) as Value;
}

function copyOf(value: unknown, made: Map<object, unknown>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const known = made.get(value);
  if (known !== undefined) return known;
  if (holdsHiddenState(value)) {
    const copy = structuredClone(value);
    made.set(value, copy);
    return copy;
  }
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    made.set(value, items);
    for (const item of value as unknown[]) items.push(copyOf(item, made));
    return items;
  }
  const copy = Object.create(Object.getPrototypeOf(value) as object | null) as object;
  made.set(value, copy);
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    if ('value' in property) {
      property.value = copyOf(property.value, made);
      // That of a frozen value may be changed.
      property.writable = true;
      property.configurable = true;
    }
    Object.defineProperty(copy, name, property);
  }
  return copy;
}
