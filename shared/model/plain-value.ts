/** Deeper than any event may be nested: what goes on from there goes round. */
const depthMax = 1_000;

/**
 * A value behind a keyBy may travel to another task as JSON. Where JSON has no words for a part of it
 * (NaN, the infinities, dates, big integers, maps, objects of a class) another value would arrive, and only
 * where it travels. So it is a fault of the event, with and without an exchange.
 *
 * Properties that are undefined are left out on the way, which reads the same.
 *
 * @returns true: it holds a −0, which `JSON.stringify` writes as 0; see `plainText`
 * @throws TypeError that names the place
 */
export function assertPlain(value: unknown): boolean {
  return check(value, 0, []);
}

/** The JSON text of a plain value, with every −0 as JSON can say it. */
export function plainText(value: unknown): string {
  if (Object.is(value, -0)) return '-0';
  if (Array.isArray(value)) return `[${value.map(plainText).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .map(([name, field]) => `${JSON.stringify(name)}:${plainText(field)}`);
  return `{${fields.join(',')}}`;
}

function check(value: unknown, depth: number, path: string[]): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return false;
    case 'number':
      if (Number.isFinite(value)) return Object.is(value, -0);
      throw refusal(String(value), path);
    case 'object':
      if (value === null) return false;
      if (depth >= depthMax) throw refusal('nested too deep', path.slice(0, 10));
      return checkObject(value, depth, path);
    default:
      throw refusal(value === undefined ? 'undefined' : `a ${typeof value}`, path);
  }
}

function checkObject(value: object, depth: number, path: string[]): boolean {
  let hasNegativeZero = false;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      path.push(String(index));
      if (check(value[index], depth + 1, path)) hasNegativeZero = true;
      path.pop();
    }
    return hasNegativeZero;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  if (!isPlain) throw refusal(`a ${value.constructor.name}`, path);
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined) continue;
    path.push(name);
    if (check(field, depth + 1, path)) hasNegativeZero = true;
    path.pop();
  }
  return hasNegativeZero;
}

function refusal(what: string, path: readonly string[]): TypeError {
  const where = path.length === 0 ? 'the value' : `/${path.join('/')}`;
  return new TypeError(
    `${where} is ${what}: behind a keyBy values travel as JSON; give a finite number, a text, true or false, null, or arrays and plain objects of these`,
  );
}
