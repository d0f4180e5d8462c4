// Goal: no frame, however wrong, hangs or ends the emulator: its connection alone ends, with the reason.
import { startEventHubsEmulator, type EventHubsEmulator } from '../../../local/event-hubs';
import {
  bin,
  codes,
  composite,
  described,
  event,
  fieldsOf,
  list,
  map,
  no,
  none,
  RawClient,
  str,
  sym,
  ubyte,
  uint,
  yes,
} from '../../support/amqp-raw-client';

jest.setTimeout(60_000);

const hub = 'wire';
let emulator: EventHubsEmulator;
let bystander: RawClient;
let deliveries = 0;

beforeAll(async () => {
  emulator = await startEventHubsEmulator({
    ...{ port: 0, controlPort: 0, createOnTheFly: { partitionCount: 2 } },
  });
  bystander = await RawClient.begin(emulator.port);
  bystander.send(attachSender(0, 'bystander'));
  await bystander.next(codes.flow);
});

// Whatever a client did: another one, connected before, is served.
afterEach(async () => {
  bystander.send(transfer(0, deliveries), { payload: event('fine') });
  deliveries += 1;
  const { fields } = await bystander.next(codes.disposition);
  expect(fields[4]).toMatchObject({ descriptor: 0x24 });
});

afterAll(async () => {
  bystander.end();
  await emulator.close();
});

const attachSender = (handle: number, name: string): Buffer =>
  composite(
    codes.attach,
    ...[str(name), uint(handle), no, none, none, composite(codes.source)],
    ...[composite(codes.target, str(`${hub}/Partitions/0`)), none, none, uint(0)],
  );

const attachReceiver = (handle: number, name: string, filter = map()): Buffer =>
  composite(
    codes.attach,
    ...[str(name), uint(handle), yes, none, none],
    composite(
      codes.source,
      ...[str(`${hub}/ConsumerGroups/$default/Partitions/0`), none, none, none, none, none, none],
      filter,
    ),
    composite(codes.target, str('here')),
  );

const transfer = (handle: number, id: number): Buffer =>
  composite(codes.transfer, uint(handle), uint(id), bin(String(id)), uint(0), no, no);

const flow = (...link: readonly Buffer[]): Buffer =>
  composite(codes.flow, uint(0), uint(1_000), uint(0), uint(1_000), ...link);

const nan = Buffer.from('827ff8000000000000', 'hex');
/** A list within a list, so many times. */
function nested(depth: number): Buffer {
  let value = list();
  for (let level = 0; level < depth; level += 1) value = list(value);
  return value;
}

test.each<[string, string, Buffer]>([
  [
    'a disposition whose last is text',
    'amqp:invalid-field',
    composite(0x15, yes, uint(0), str('9')),
  ],
  [
    'a disposition whose last is no number',
    'amqp:invalid-field',
    composite(0x15, yes, uint(0), nan),
  ],
  ['a disposition without role', 'amqp:invalid-field', composite(0x15, none, uint(0))],
  [
    'a disposition of a state that is none',
    'amqp:invalid-field',
    composite(0x15, yes, uint(0), none, yes, composite(0x28)),
  ],
  [
    'a disposition rejected with text',
    'amqp:invalid-field',
    composite(0x15, yes, uint(0), none, yes, composite(0x25, str('no'))),
  ],
  [
    'a transfer without delivery-id',
    'amqp:invalid-field',
    composite(0x14, uint(0), none, bin('t')),
  ],
  [
    'an aborted transfer without delivery-id',
    'amqp:invalid-field',
    composite(0x14, uint(0), none, none, none, none, none, none, none, none, yes),
  ],
  [
    'a transfer whose tag is too long',
    'amqp:invalid-field',
    composite(0x14, uint(0), uint(0), bin('t'.repeat(33))),
  ],
  [
    'an aborted transfer on the handle __proto__',
    'amqp:invalid-field',
    composite(0x14, sym('__proto__'), uint(0), bin('t'), uint(0), no, no, none, none, no, yes),
  ],
  [
    'a transfer on a link that the client reads',
    'amqp:not-allowed',
    composite(0x14, uint(1), uint(0), bin('t')),
  ],
  [
    'a drain whose delivery-count is a list',
    'amqp:invalid-field',
    flow(uint(1), list(uint(1)), uint(5), none, yes),
  ],
  [
    'a flow of negative credit',
    'amqp:invalid-field',
    flow(uint(1), uint(0), Buffer.from('71ffffffff', 'hex')),
  ],
  ['a flow without credit', 'amqp:invalid-field', flow(uint(1), uint(0))],
  ['a flow without windows', 'amqp:invalid-field', composite(codes.flow, uint(0))],
  [
    'a flow with more fields than there are',
    'amqp:invalid-field',
    flow(uint(1), uint(0), uint(1), none, no, no, none, none),
  ],
  [
    'a flow whose drain is the number 2',
    'amqp:invalid-field',
    flow(uint(1), uint(0), uint(1), none, Buffer.from([0x56, 2])),
  ],
  ['an attach without a name', 'amqp:invalid-field', composite(codes.attach, none, uint(2), no)],
  [
    'an attach whose handle is text',
    'amqp:invalid-field',
    composite(codes.attach, str('x'), str('__proto__'), no),
  ],
  [
    'an attach whose settle mode is none',
    'amqp:invalid-field',
    composite(codes.attach, str('x'), uint(2), no, ubyte(3)),
  ],
  [
    'an attach with a coordinator',
    'amqp:invalid-field',
    composite(
      codes.attach,
      str('x'),
      uint(2),
      no,
      none,
      none,
      composite(codes.source),
      described(0x30, list()),
    ),
  ],
  [
    'an attach whose target is a source',
    'amqp:invalid-field',
    composite(
      codes.attach,
      str('x'),
      uint(2),
      no,
      none,
      none,
      composite(codes.source),
      composite(codes.source),
    ),
  ],
  [
    'an attach whose address is a number',
    'amqp:invalid-field',
    composite(
      codes.attach,
      str('x'),
      uint(2),
      no,
      none,
      none,
      none,
      composite(codes.target, uint(1)),
    ),
  ],
  [
    'an attach whose properties are a list',
    'amqp:invalid-field',
    composite(
      codes.attach,
      str('x'),
      uint(2),
      no,
      none,
      none,
      none,
      composite(codes.target, str(hub)),
      none,
      none,
      uint(0),
      none,
      none,
      none,
      list(uint(1)),
    ),
  ],
  [
    'an attach with a map of two thousand',
    'amqp:invalid-field',
    composite(
      codes.attach,
      str('x'),
      uint(2),
      no,
      none,
      none,
      none,
      composite(codes.target, str(hub)),
      none,
      none,
      uint(0),
      none,
      none,
      none,
      map(...Array.from({ length: 4_000 }, () => uint(1))),
    ),
  ],
  [
    'an attach with a map of a key alone',
    'amqp:invalid-field',
    composite(
      codes.attach,
      str('x'),
      uint(2),
      no,
      none,
      none,
      none,
      composite(codes.target, str(hub)),
      map(str('x')),
    ),
  ],
  ['an attach on a handle that has a link', 'amqp:session:handle-in-use', attachSender(0, 'again')],
  [
    'a begin on a channel that has a session',
    'amqp:illegal-state',
    composite(codes.begin, none, uint(0), uint(1), uint(1)),
  ],
  ['a detach of a handle that is none', 'amqp:decode-error', composite(0x16, uint(77), yes)],
  ['a close with a reason that is a map', 'amqp:invalid-field', composite(0x18, map())],
  ['an open whose name is a list', 'amqp:invalid-field', composite(codes.open, list(uint(1)))],
  ['a handshake in an open connection', 'amqp:decode-error', composite(0x41, sym('PLAIN'))],
  ['values a hundred deep', 'amqp:decode-error', composite(codes.attach, nested(100))],
  [
    'a descriptor upon another, ten thousand times',
    'amqp:decode-error',
    composite(codes.attach, Buffer.concat([Buffer.from('0043'.repeat(10_000), 'hex'), none])),
  ],
  [
    'a list longer than its frame',
    'amqp:decode-error',
    Buffer.from('005312d0000000ff00000001', 'hex'),
  ],
  [
    'the performative constructor',
    'amqp:decode-error',
    Buffer.concat([Buffer.from([0]), sym('constructor'), list()]),
  ],
  ['a performative that is text', 'amqp:decode-error', str('open')],
])('%s ends its connection alone: %s', async (_name, condition, frame) => {
  const client = await RawClient.begin(emulator.port);
  client.send(attachSender(0, 'sends'));
  client.send(attachReceiver(1, 'reads'));
  await client.next(codes.attach);
  await client.next(codes.attach);
  client.send(frame, { payload: event('never kept') });
  expect(await client.closed()).toMatchObject({ condition });
});

test('a begin above the channel-max ends its connection alone', async () => {
  const client = await RawClient.begin(emulator.port);
  client.send(composite(codes.begin, none, uint(0), uint(1), uint(1)), { channel: 5_000 });
  expect(await client.closed()).toMatchObject({ condition: 'amqp:connection:framing-error' });
});

test('a begin before the open is told so', async () => {
  const client = await RawClient.open(emulator.port);
  client.send(composite(codes.begin, none, uint(0), uint(1), uint(1)));
  expect(await client.closed()).toEqual({
    condition: 'amqp:illegal-state',
    description: 'begin: it came before the open.',
  });
});

test('an open that is malformed is told so', async () => {
  const client = await RawClient.open(emulator.port);
  client.send(composite(codes.open, uint(1)));
  expect(await client.closed()).toEqual({
    condition: 'amqp:invalid-field',
    description: 'open: container-id is no string.',
  });
});

test('links may be called as an object calls its own', async () => {
  const client = await RawClient.begin(emulator.port);
  for (const [handle, name] of ['__proto__', 'constructor', 'toString'].entries()) {
    client.send(attachSender(handle, name));
    expect((await client.next(codes.attach)).fields[0]).toBe(name);
  }
  client.end();
});

test.each([
  ['twenty thousand blanks', `amqp.annotation.x-opt-offset >${' '.repeat(20_000)}x`],
  ['sixty thousand quotes', `amqp.annotation.x-opt-offset > '${"'".repeat(60_000)}`],
  ['blanks before it', `${' '.repeat(20_000)}amqp.annotation.x-opt-offset x`],
])('a selector with %s is refused at once', async (_name, selector) => {
  const client = await RawClient.begin(emulator.port);
  const filter = map(sym('apache.org:selector-filter:string'), str(selector));
  client.send(attachReceiver(0, 'reads', filter));
  const { fields } = await client.next(codes.detach);
  expect(fieldsOf(fields[2])[0]).toBe('com.microsoft:argument-error');
  client.end();
});

test('a producer with the largest number of all leaves the next one its own', async () => {
  const producerId = (id: bigint | null): Buffer =>
    id === null ? none : Buffer.concat([Buffer.from([0x81]), bigEndian(id)]);
  const given: (bigint | number | undefined)[] = [];
  for (const [index, id] of [2n ** 53n - 1n, null, null].entries()) {
    const client = await RawClient.begin(emulator.port);
    client.send(
      composite(
        codes.attach,
        ...[str(`producer-${index}`), uint(0), no, none, none, composite(codes.source)],
        ...[composite(codes.target, str(`${hub}/Partitions/1`)), none, none, uint(0), none, none],
        sym('com.microsoft:idempotent-producer'),
        map(sym('com.microsoft:producer-id'), producerId(id)),
      ),
    );
    const { fields } = await client.next(codes.attach);
    const properties = fields[13] as readonly (bigint | number)[];
    given.push(properties[1]);
    client.end();
  }
  expect(given[0]).toBe(2n ** 53n - 1n);
  expect(given[2]).toBe(BigInt(given[1] ?? 0) + 1n);
});

function bigEndian(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value, 0);
  return bytes;
}
