/** What rhea (3.0.5, pinned) does otherwise than AMQP 1.0 has it, or its readers need it. */
import type * as rhea from 'rhea';
import { types } from 'rhea';
import { Refusal } from '../errors';
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

interface RheaLink {
  name: string;
  readonly state: { readonly remote_open: boolean };
  is_receiver(): boolean;
}

interface RheaAttach {
  readonly performative: { readonly name: string; readonly handle: number; readonly role: boolean };
}

interface RheaFlow {
  readonly performative: {
    readonly handle?: number | null;
    readonly link_credit?: number | null;
    next_incoming_id?: number | null;
    delivery_count?: number | null;
    drain?: boolean | null;
  };
}

interface RheaSession {
  readonly local: { readonly begin: object };
  links: Record<string, RheaLink | undefined>;
  readonly remote: { handles: Record<number, RheaLink | undefined> };
  readonly outgoing: { readonly remote_next_transfer_id?: number };
  _get_link(frame: RheaFlow): RheaLink;
  on_attach(frame: RheaAttach): void;
  on_flow(frame: RheaFlow): void;
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

/** A session that names a handle-max and keeps to what AMQP says of links and flows. */
export function mendSession(session: rhea.Session): void {
  const own = session as unknown as RheaSession;
  Object.assign(own.local.begin, { handle_max: handleMax });
  // No name and no handle is one of an object's own keys.
  own.links = Object.assign(Object.create(null) as typeof own.links, own.links);
  own.remote.handles = Object.assign(
    Object.create(null) as typeof own.remote.handles,
    own.remote.handles,
  );
  mendAttaches(own);
  mendFlows(own);
}

/**
 * An outcome settles, also where the receiver was asked to settle second, as the service has it: rhea would
 * wait for the sender, and the Python SDK (pyamqp of azure-eventhub 5.11) waits for a settled one.
 */
export function settleWithOutcome(delivery: rhea.Delivery): void {
  const update = delivery.update.bind(delivery);
  Object.assign(delivery, {
    update: (isSettled: boolean | undefined, state: unknown) => update(isSettled ?? true, state),
  });
}

/**
 * Forgets a reply once it has gone out unsettled. Clients that ask for such replies need not settle them
 * (pyamqp never does), and events on other links of the session would wait for it.
 */
export function forgetOnceSent(reply: rhea.Delivery, session: rhea.Session): void {
  const { outgoing } = session as unknown as {
    readonly outgoing: { readonly next_pending_delivery: number };
  };
  const { id } = reply;
  Object.assign(reply, { remote_settled: true });
  Object.defineProperty(reply, 'settled', {
    get: () => {
      // Serial numbers: after 2^32 deliveries they begin again.
      const sentSince = (outgoing.next_pending_delivery - id) >>> 0;
      return sentSince > 0 && sentSince < 0x8000_0000;
    },
  });
}

let twins = 0;

/** A handle has one link at a time; a name one in each direction (AMQP 1.0 part 2 §2.6.1, §2.7.3). */
function mendAttaches(session: RheaSession): void {
  const onAttach = session.on_attach.bind(session);
  session.on_attach = (frame) => {
    const { handle, name, role } = frame.performative;
    if (session.remote.handles[handle]?.state.remote_open === true) {
      throw new Refusal('amqp:session:handle-in-use', `attach: handle ${handle} has a link.`);
    }
    const known = session.links[name];
    const isOtherDirection = known !== undefined && known.is_receiver() === Boolean(role);
    if (!isOtherDirection) return onAttach(frame);
    // rhea knows links by their names alone: the second goes by another one here.
    delete session.links[name];
    onAttach(frame);
    const link = session.links[name];
    session.links[name] = known;
    if (link === undefined) return;
    link.name = `${name}\0${(twins += 1)}`;
    session.links[link.name] = link;
  };
}

/** What a flow leaves out, rhea would count with. */
function mendFlows(session: RheaSession): void {
  const onFlow = session.on_flow.bind(session);
  session.on_flow = (frame) => {
    const { performative } = frame;
    const { handle, link_credit: credit } = performative;
    performative.next_incoming_id ??= session.outgoing.remote_next_transfer_id ?? 0;
    if (handle !== undefined && handle !== null) {
      if (session._get_link(frame).is_receiver()) {
        // Credit of ours is never asked back.
        performative.drain = false;
      } else if (credit === undefined || credit === null) {
        throw new Refusal('amqp:invalid-field', 'flow: link-credit is missing.');
      }
      // Before the attach has come its count is not known: it begins at 0.
      performative.delivery_count ??= 0;
    }
    onFlow(frame);
  };
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
