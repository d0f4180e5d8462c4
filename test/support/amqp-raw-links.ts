/** Links, transfers and flows in bytes, for tests of what is on the wire (AMQP 1.0 part 2 §2.7). */
import { startEventHubsEmulator, type EventHubsEmulator } from '../../local/event-hubs';
import {
  bin,
  codes,
  composite,
  event,
  fieldsOf,
  map,
  no,
  none,
  RawClient,
  sectionsOf,
  str,
  sym,
  uint,
  yes,
  type RawFrame,
  type RawValue,
} from './amqp-raw-client';

export const source = (hub: string, group = '$default'): string =>
  `${hub}/ConsumerGroups/${group}/Partitions/0`;

export interface Attach {
  readonly handle?: number;
  readonly name?: string;
  readonly settleModes?: readonly [Buffer, Buffer];
  readonly capability?: string;
  readonly properties?: Buffer;
  readonly filter?: string;
}

let names = 0;

export const attach = (role: Buffer, ends: readonly [Buffer, Buffer], options: Attach): Buffer =>
  composite(
    codes.attach,
    ...[str(options.name ?? `link-${(names += 1)}`), uint(options.handle ?? 0), role],
    ...[...(options.settleModes ?? [none, none]), ...ends, none, none, uint(0), none, none],
    options.capability === undefined ? none : sym(options.capability),
    options.properties ?? none,
  );

export function attachReceiver(address: string, options: Attach = {}): Buffer {
  const { filter } = options;
  const selector = map(
    ...(filter === undefined ? [] : [sym('apache.org:selector-filter:string'), str(filter)]),
  );
  const from = composite(
    codes.source,
    ...[str(address), none, none, none, none, none, none, selector],
  );
  return attach(yes, [from, composite(codes.target, str('here'))], options);
}

export const attachSender = (address: string, options: Attach = {}): Buffer =>
  attach(no, [composite(codes.source, str('me')), composite(codes.target, str(address))], options);

export const transfer = (handle: number, id: number, messageFormat = 0): Buffer =>
  composite(codes.transfer, uint(handle), uint(id), bin(String(id)), uint(messageFormat), no, no);

export const flow = (handle: number, credit: number): Buffer =>
  composite(
    codes.flow,
    ...[uint(0), uint(1_000), uint(0), uint(1_000), uint(handle), uint(0), uint(credit)],
  );

export const disposition = (
  first: number,
  last: number,
  settled: Buffer,
  outcome: Buffer,
): Buffer => composite(codes.disposition, yes, uint(first), uint(last), settled, outcome);

export const outcomes = { accepted: 0x24, rejected: 0x25, released: 0x26, modified: 0x27 } as const;

/** Sends one event in as many frames as it needs. */
export function sendLong(producer: RawClient, id: number, payload: Buffer): void {
  for (let at = 0; at < payload.length; at += 60_000) {
    const more = at + 60_000 < payload.length ? yes : no;
    producer.send(composite(codes.transfer, uint(0), uint(id), bin('0'), uint(0), no, more), {
      payload: payload.subarray(at, at + 60_000),
    });
  }
}

/** Sends events one by one on a new connection. */
export async function publish(port: number, hub: string, texts: readonly string[]): Promise<void> {
  const producer = await RawClient.begin(port);
  producer.send(attachSender(`${hub}/Partitions/0`));
  await producer.next(codes.flow);
  for (const [id, text] of texts.entries()) {
    sendLong(producer, id, event(text));
    expect(await outcomeOf(producer)).toBe(outcomes.accepted);
  }
  producer.end();
}

export async function outcomeOf(of: RawClient): Promise<RawValue> {
  const { fields } = await of.next(codes.disposition);
  return (fields[4] as { readonly descriptor: RawValue }).descriptor;
}

export const bodyOf = ({ payload }: RawFrame): string =>
  (sectionsOf(payload).get(0x75) as Buffer).toString();

/** The next events that a link is sent. */
export async function bodies(of: RawClient, count: number): Promise<string[]> {
  const found: string[] = [];
  while (found.length < count) found.push(bodyOf(await of.next(codes.transfer)));
  return found;
}

export async function readAll(port: number, hub: string, count: number): Promise<string[]> {
  const consumer = await RawClient.begin(port);
  consumer.send(attachReceiver(source(hub)));
  await consumer.next(codes.attach);
  consumer.send(flow(0, count + 10));
  const found = await bodies(consumer, count);
  consumer.end();
  return found;
}

export const isDetach = { closed: true } as const;

export function readDetach({ fields }: RawFrame): {
  closed: RawValue;
  condition: RawValue;
  text: RawValue;
} {
  const [, closed = null, error = null] = fields;
  const [condition = null, text = null] = fieldsOf(error);
  return { closed, condition, text };
}

/** An emulator of its own with `hub-0`, `hub-1` and so on, each of two partitions. */
export function startWithHubs(count: number): Promise<EventHubsEmulator> {
  const Entities = Array.from({ length: count }, (_, index) => ({
    ...{ Name: `hub-${index}`, PartitionCount: 2 },
  }));
  return startEventHubsEmulator({
    ...{ port: 0, controlPort: 0 },
    config: { UserConfig: { NamespaceConfig: [{ Entities }] } },
  });
}
