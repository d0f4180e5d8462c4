/** What rhea (3.0.5, pinned) does otherwise than AMQP 1.0 has it, or its readers need it. */
import type * as rhea from 'rhea';
import { types } from 'rhea';
import { composites, descriptorCode } from './performatives';

interface RheaTyped {
  readonly type: { readonly typecode: number };
  value: unknown;
  readonly descriptor?: { readonly value: number | string };
}

interface RheaPerformative {
  value: unknown[];
  readonly constructor: { readonly descriptor?: { readonly numeric: number } };
}

interface RheaConnection {
  readonly amqp_transport: {
    encode(frame: { readonly performative?: RheaPerformative }): void;
  };
}

interface RheaSession {
  readonly local: { readonly begin: object };
  links: object;
  readonly remote: { handles: object };
}

type Create = () => { value: unknown };
const emptyList = 0x45;
const listCodes = new Set([emptyList, 0xc0, 0xd0]);
const { by_code: byCode } = types as unknown as { by_code: Record<number, { create: Create }> };
let areListsSeparate = false;

/**
 * rhea decodes every empty list of a process as the same array: what one performative is given is
 * then in all of them.
 */
export function separateEmptyLists(): void {
  const description = byCode[emptyList];
  if (areListsSeparate || description === undefined) return;
  areListsSeparate = true;
  const { create } = description;
  const createSeparate: Create = () => Object.assign(create(), { value: [] });
  description.create = Object.assign(createSeparate, { typecode: emptyList });
  Object.assign(types, { List0: description.create });
}

/** The largest handle: any that the type holds. */
const handleMax = 0xffff_ffff;

/** Begin names a handle-max, and no link's name or handle is one of an object's own keys. */
export function mendSession(session: rhea.Session): void {
  const own = session as unknown as RheaSession;
  Object.assign(own.local.begin, { handle_max: handleMax });
  own.links = Object.assign(Object.create(null) as object, own.links);
  own.remote.handles = Object.assign(Object.create(null) as object, own.remote.handles);
}

/**
 * Performatives go out with all their fields: rhea leaves out those at the end that are not set, and
 * there are clients that look each up by its place.
 */
export function mendConnection(connection: rhea.Connection): void {
  const { amqp_transport: transport } = connection as unknown as RheaConnection;
  const encode = transport.encode.bind(transport);
  transport.encode = (frame) => {
    const { performative } = frame;
    const code = performative?.constructor.descriptor?.numeric;
    if (performative !== undefined && code !== undefined) {
      performative.value = completed(code, performative.value);
    }
    encode(frame);
  };
}

/** A composite's fields, as many as it has, and within them as well. */
function completed(code: number, fields: readonly unknown[]): unknown[] {
  const { length } = composites.get(code)?.fields ?? fields;
  return Array.from({ length }, (_, index) => completeField(fields[index]));
}

function completeField(field: unknown): unknown {
  if (field === undefined || field === null) return null;
  const { descriptor, type, value } = field as RheaTyped;
  const code = descriptorCode(descriptor?.value);
  if (code === undefined || !composites.has(code) || !listCodes.has(type.typecode)) return field;
  const fields = completed(code, value as unknown[]);
  if (fields.length === 0) return field;
  return describedList(code, fields);
}

/** A list of fields under a descriptor, for rhea to encode; null and undefined are nulls. */
export function describedList(code: number, fields: readonly unknown[]): unknown {
  const own = types as unknown as {
    readonly described_nc: (descriptor: unknown, value: unknown) => unknown;
    readonly List32: (values: readonly unknown[]) => unknown;
  };
  return own.described_nc(types.wrap_ulong(code), own.List32(fields));
}
