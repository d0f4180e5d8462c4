import type { TSchema } from 'typebox';
import type { InexactNumber } from '../model/program';

/** What of a JSON schema says where in a value which numbers may be. */
interface SchemaFacts {
  readonly type?: string | readonly string[];
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, SchemaFacts>>;
  readonly properties?: Readonly<Record<string, SchemaFacts>>;
  readonly patternProperties?: Readonly<Record<string, SchemaFacts>>;
  readonly additionalProperties?: SchemaFacts | boolean;
  readonly items?: SchemaFacts | readonly SchemaFacts[];
  readonly prefixItems?: readonly SchemaFacts[];
  readonly anyOf?: readonly SchemaFacts[];
  readonly oneOf?: readonly SchemaFacts[];
  readonly allOf?: readonly SchemaFacts[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
}

type Steps = InexactNumber['path'];

/**
 * A copy of a schema whose integers are those that JavaScript holds exactly: `1e20` is a whole number
 * to every validator.
 */
export function withSafeIntegers<Schema extends TSchema>(schema: Schema): Schema {
  return copied(schema) as Schema;
}

function copied(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copied);
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.create(Object.getPrototypeOf(value) as object | null) as object;
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    const isOwnValue = property.enumerable === true && 'value' in property;
    Object.defineProperty(
      copy,
      name,
      isOwnValue ? { ...property, value: copied(property.value) } : property,
    );
  }
  const facts = copy as { type?: unknown; minimum?: number; maximum?: number };
  if (facts.type === 'integer') {
    facts.minimum ??= Number.MIN_SAFE_INTEGER;
    facts.maximum ??= Number.MAX_SAFE_INTEGER;
  }
  return copy;
}

/**
 * Settles the numbers of a value that it does not hold as they were sent, by where they are. The
 * schema has there
 * - an integer: refused, for it would be another one;
 * - a number: a fraction is rounded as every double is; a whole number is refused where the double
 *   would be written with other digits;
 * - nothing that says what it is: it becomes the text of its digits, which holds it exactly.
 *
 * @returns the value, changed in place where it can be, or what is wrong with it
 */
export function settleInexact(
  schema: TSchema,
  value: unknown,
  numbers: readonly InexactNumber[],
): { readonly value: unknown } | { readonly fault: string } {
  let settled = value;
  // From the last on: of two keys of one name the last is in the value.
  for (const { isWhole, path, token } of [...numbers].reverse()) {
    const number = Number(token);
    if (!Object.is(valueAt(settled, path), number)) continue;
    const kind = kindAt(schema, path);
    const isText = kind === 'untyped' && (isWhole || !Number.isFinite(number));
    if (kind === 'integer' || (kind === 'number' && isWhole && String(number) !== token)) {
      return { fault: faultOf(path, token) };
    }
    if (isText) settled = replaced(settled, path, token);
  }
  return { value: settled };
}

function faultOf(path: Steps, token: string): string {
  const where = path.length === 0 ? 'the event' : `/${path.join('/')}`;
  return (
    `${where} is ${token.slice(0, 40)}, which a JSON number cannot hold here without becoming another ` +
    `(whole numbers are exact up to ±${Number.MAX_SAFE_INTEGER}): send it as text and declare it Type.String()`
  );
}

function valueAt(value: unknown, path: Steps): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}

function replaced(value: unknown, path: Steps, text: string): unknown {
  const last = path.at(-1);
  if (last === undefined) return text;
  const owner = valueAt(value, path.slice(0, -1)) as object;
  // Not by assignment: one key may be `__proto__`.
  const property = { value: text, writable: true, enumerable: true, configurable: true };
  Object.defineProperty(owner, last, property);
  return value;
}

/** What the schema says of the numbers at a place. */
function kindAt(schema: SchemaFacts, path: Steps): 'integer' | 'number' | 'untyped' | 'other' {
  const definitions: Record<string, SchemaFacts> = {};
  let places = alternatives([schema], definitions);
  for (const step of path) {
    const next = places.flatMap((place) => stepInto(place, step));
    places = alternatives(next, definitions);
  }
  const types = places.flatMap(({ const: only, enum: some, type }) => {
    if (type !== undefined) return type;
    return only === undefined && some === undefined ? ['untyped'] : ['number'];
  });
  if (types.includes('number')) return 'number';
  if (types.includes('integer')) return 'integer';
  return types.length === 0 || types.includes('untyped') ? 'untyped' : 'other';
}

function stepInto(place: SchemaFacts, step: string | number): readonly SchemaFacts[] {
  if (typeof step === 'number') {
    const tuple = place.prefixItems ?? (Array.isArray(place.items) ? place.items : undefined);
    const item = tuple?.[step] as SchemaFacts | undefined;
    if (item !== undefined) return [item];
    return place.items === undefined || Array.isArray(place.items)
      ? []
      : [place.items as SchemaFacts];
  }
  if (place.properties !== undefined && Object.hasOwn(place.properties, step)) {
    const property = place.properties[step];
    return property === undefined ? [] : [property];
  }
  const patterns = Object.entries(place.patternProperties ?? {})
    .filter(([pattern]) => new RegExp(pattern, 'u').test(step))
    .map(([, facts]) => facts);
  if (patterns.length > 0) return patterns;
  const { additionalProperties } = place;
  return typeof additionalProperties === 'object' ? [additionalProperties] : [];
}

/** The schemas that a schema stands for: its branches, and what it refers to. */
function alternatives(
  places: readonly SchemaFacts[],
  definitions: Record<string, SchemaFacts>,
): SchemaFacts[] {
  const found: SchemaFacts[] = [];
  const seen = new Set<SchemaFacts>();
  const take = (place: SchemaFacts): void => {
    if (seen.has(place)) return;
    seen.add(place);
    Object.assign(definitions, place.$defs);
    const branches = [...(place.anyOf ?? []), ...(place.oneOf ?? []), ...(place.allOf ?? [])];
    const target = definitions[place.$ref?.split('/').at(-1) ?? ''];
    if (target !== undefined) take(target);
    for (const branch of branches) take(branch);
    if (target === undefined && branches.length === 0) found.push(place);
  };
  for (const place of places) take(place);
  return found;
}
