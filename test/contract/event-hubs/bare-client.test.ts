// Goal: what other SDKs do on the wire and the JavaScript SDK does not is served as well: small frames
// both ways, other handshakes, addresses, filters and formats, session windows, drain, idempotent sends.
import type * as rhea from 'rhea';
import { message, types } from 'rhea';
import { startEventHubsEmulator, type EventHubsEmulator } from '../../../local/event-hubs';
import { parseEvent } from '../../../local/event-hubs/message/event';
import { EventDecoder } from '../../../local/functions-host/hub-reading/event-decoder';
import {
  BareClient,
  batchOf,
  dataMessage,
  errorOf,
  outcomeOf,
  sessionOf,
  sharedAccessToken,
  until,
} from '../../support/amqp-bare-client';

jest.setTimeout(60_000);

const batchFormat = 0x80013700;
let emulator: EventHubsEmulator;
let client: BareClient;
let hubs = 0;

const aHub = (): string => `bare-${(hubs += 1)}`;
const source = (hub: string, partition = 0): string =>
  `${hub}/ConsumerGroups/$default/Partitions/${partition}`;

beforeAll(async () => {
  emulator = await startEventHubsEmulator({ port: 0, controlPort: 0, createOnTheFly: true });
});

beforeEach(async () => {
  client = await BareClient.open(emulator.port);
});

afterEach(async () => {
  await client.close();
});

afterAll(async () => {
  await emulator.close();
});

async function send(hub: string, bodies: readonly Buffer[], via = client): Promise<void> {
  const sender = await via.sender(`${hub}/Partitions/0`);
  for (const body of bodies) {
    const outcome = await outcomeOf(sender, () => sender.send(dataMessage(body), undefined, 0));
    expect(outcome).toBe('accepted');
  }
}

const texts = (count: number): Buffer[] =>
  Array.from({ length: count }, (_, number) => Buffer.from(String(number)));

test.each(['ANONYMOUS', 'MSSBCBS', 'EXTERNAL', 'PLAIN', null])(
  'the handshake %s is let in',
  async (mechanism) => {
    const other = await BareClient.open(emulator.port, { mechanism });
    const hub = aHub();
    const audience = `sb://localhost/${hub}`;
    await other.putToken(sharedAccessToken(audience), { name: audience });
    await send(hub, [Buffer.from('x')], other);
    await other.close();
  },
);

test('an unknown handshake is not let in', async () => {
  await expect(
    Promise.race([
      BareClient.open(emulator.port, { mechanism: 'NONSENSE' }),
      new Promise((_, reject) => setTimeout(() => reject(new Error('not let in')), 300)),
    ]),
  ).rejects.toThrow();
});

test.each(['', '/', 'sb://somewhere.example/', 'amqps://somewhere.example:5671/'])(
  'addresses may begin with %p',
  async (prefix) => {
    const hub = aHub();
    const sender = await client.sender(`${prefix}${hub.toUpperCase()}/Partitions/0`);
    await outcomeOf(sender, () => sender.send(dataMessage(Buffer.from('here')), undefined, 0));
    const { messages } = await client.receiver(`${prefix}${source(hub)}`);
    await until(() => messages.length === 1);
    expect(messages[0]?.body.toString()).toBe('here');
  },
);

test('one event of format 0 and a batch of 0x80013700 are kept alike', async () => {
  const hub = aHub();
  const sender = await client.sender(`${hub}/Partitions/0`);
  const plain = dataMessage(Buffer.from('one'));
  const batch = batchOf([Buffer.from('two'), Buffer.from('three')].map(dataMessage));
  await outcomeOf(sender, () => sender.send(plain, undefined, 0));
  await outcomeOf(sender, () => sender.send(batch, undefined, batchFormat));
  const { messages } = await client.receiver(source(hub));
  await until(() => messages.length === 3);
  expect(messages.map(({ body, sequenceNumber }) => [sequenceNumber, body.toString()])).toEqual([
    [0, 'one'],
    [1, 'two'],
    [2, 'three'],
  ]);
});

test('sections under names instead of numbers are as good for every reader', async () => {
  const hub = aHub();
  const sender = await client.sender(`${hub}/Partitions/0`);
  const named = (name: string, value: string): Buffer =>
    Buffer.concat([
      Buffer.from([0x00, 0xa3, name.length]),
      Buffer.from(name),
      Buffer.from(value, 'hex'),
    ]);
  const bytes = Buffer.concat([
    named('amqp:header:list', 'c0020141'),
    named('amqp:application-properties:map', 'c10702a10161a10162'),
    named('amqp:data:binary', 'a0026869'),
  ]);
  const outcome = await outcomeOf(sender, () => sender.send(bytes, undefined, 0));
  expect(outcome).toBe('accepted');
  const { messages } = await client.receiver(source(hub));
  await until(() => messages.length === 1);
  expect(messages[0]?.body.toString()).toBe('hi');
  expect(messages[0]?.message).toMatchObject({ durable: true, application_properties: { a: 'b' } });
  const stored = parseEvent(bytes);
  const event = new EventDecoder().decode(stored.rest, 0, stored.rest.length);
  expect(event).toMatchObject({ body: Buffer.from('hi'), properties: { a: 'b' } });
});

test('a format that nobody knows is not implemented', async () => {
  const sender = await client.sender(`${aHub()}/Partitions/0`);
  const outcome = await outcomeOf(sender, () =>
    sender.send(dataMessage(Buffer.from('x')), undefined, 0x7777),
  );
  expect(outcome).toMatchObject({ condition: 'amqp:not-implemented' });
});

test.each([512, 4_096, 65_536])('events go out in frames of at most %i bytes', async (bytes) => {
  const hub = aHub();
  const bodies = [10, 300, 600, 70_000, 1_000_000, 5].map((length) => Buffer.alloc(length, 'y'));
  await send(hub, bodies);
  const small = await BareClient.open(emulator.port, {
    max_frame_size: bytes,
    // rhea opens its window between messages: it must hold the longest one's frames.
    sessionBufferSize: 4_096,
  });
  let longest = 0;
  const socket = (small.connection as unknown as { socket: NodeJS.EventEmitter }).socket;
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= rest.readUInt32BE(0)) {
      longest = Math.max(longest, rest.readUInt32BE(0));
      rest = rest.subarray(rest.readUInt32BE(0));
    }
  });
  const { messages } = await small.receiver(source(hub));
  await until(() => messages.length === bodies.length);
  expect(messages.map(({ body }) => body.length)).toEqual(bodies.map(({ length }) => length));
  expect(longest).toBeGreaterThan(bytes / 2);
  expect(longest).toBeLessThanOrEqual(bytes);
  await small.close();
});

test('a message in more frames than the session window holds comes in', async () => {
  const hub = aHub();
  const sender = await client.sender(`${hub}/Partitions/0`);
  sessionOf(sender).outgoing.compute_max_payload = () => 200;
  const body = Buffer.alloc(1_000_000, 'z');
  const outcome = await outcomeOf(sender, () => sender.send(dataMessage(body), undefined, 0));
  expect(outcome).toBe('accepted');
  const { messages } = await client.receiver(source(hub));
  await until(() => messages.length === 1);
  expect(messages[0]?.body.equals(body)).toBe(true);
});

test.each<[string, () => unknown]>([
  [
    'a symbol, .NET’s name',
    () => described(types.wrap_symbol('apache.org:selector-filter:string')),
  ],
  ['0x137000000A', () => described(types.wrap_ulong(0x137000000a))],
  ['0x468C00000004', () => described(types.wrap_ulong(0x468c00000004))],
  ['none, a bare string', () => selector],
])('a filter under %s is followed', async (_name, filter) => {
  const hub = aHub();
  await send(hub, texts(5));
  const { messages } = await client.receiver(source(hub), { filter: filter(), snd_settle_mode: 1 });
  await until(() => messages.length === 2);
  expect(messages.map(({ body }) => body.toString())).toEqual(['3', '4']);
});

const selector = 'amqp.annotation.x-opt-sequence-number > 2';
const described = (descriptor: unknown): unknown => {
  const value = types.wrap_string(selector);
  return (types as unknown as { described_nc(d: unknown, v: unknown): unknown }).described_nc(
    descriptor,
    value,
  );
};

test.each<[string, string, string]>([
  ['words', 'x-opt-offset of the cat', 'com.microsoft:argument-error'],
  [
    'a time that is none',
    'amqp.annotation.x-opt-enqueued-time > soon',
    'com.microsoft:argument-error',
  ],
  [
    'a number that is none',
    'amqp.annotation.x-opt-sequence-number > 1e3',
    'com.microsoft:argument-error',
  ],
  [
    'an offset that is none',
    "amqp.annotation.x-opt-offset > 'x'",
    'com.microsoft:georeplication:invalid-offset',
  ],
])('a filter of %s is refused', async (_name, filter, condition) => {
  const { receiver } = await client.receiver(source(aHub()), { filter });
  await until(() => receiver.error !== undefined);
  expect(errorOf(receiver)).toMatchObject({ condition });
});

test('a settled attach is answered as settled', async () => {
  const { receiver } = await client.receiver(source(aHub()), { snd_settle_mode: 1 });
  expect(receiver.snd_settle_mode).toBe(1);
});

describe('an idempotent producer', () => {
  const capability = 'com.microsoft:idempotent-producer';
  const property = (name: string): string => `com.microsoft:producer-${name}`;

  const open = (hub: string, properties: Record<string, unknown>): Promise<rhea.Sender> =>
    client.sender(`${hub}/Partitions/0`, {
      desired_capabilities: capability,
      properties,
    });

  const claimed = (
    body: string,
    claim: { readonly id: number; readonly epoch: number; readonly number: number },
  ): Buffer =>
    batchOf([
      message.encode({
        message_annotations: {
          [property('id')]: types.wrap_long(claim.id),
          [property('epoch')]: types.wrap_short(claim.epoch),
          [property('sequence-number')]: types.wrap_int(claim.number),
        },
        body: message.data_section(Buffer.from(body)),
      }),
    ]);

  const nobody = {
    [property('id')]: null,
    [property('epoch')]: null,
    [property('sequence-number')]: null,
  };

  test('is told who it is; what it sends twice is kept once; a gap is refused', async () => {
    const hub = aHub();
    const sender = await open(hub, nobody);
    const given = sender.properties as unknown as Record<string, number>;
    const id = Number(given[property('id')]);
    const epoch = Number(given[property('epoch')]);
    const number = Number(given[property('sequence-number')]);
    const sendOne = (body: string, at: number): Promise<unknown> =>
      outcomeOf(sender, () =>
        sender.send(claimed(body, { id, epoch, number: at }), undefined, batchFormat),
      );
    expect(await sendOne('a', number + 1)).toBe('accepted');
    expect(await sendOne('a', number + 1)).toBe('accepted');
    expect(await sendOne('b', number + 3)).toMatchObject({
      condition: 'com.microsoft:out-of-order-sequence',
    });
    expect(await sendOne('b', number + 2)).toBe('accepted');
    const { messages } = await client.receiver(source(hub));
    await until(() => messages.length === 2);
    expect(messages.map(({ body }) => body.toString())).toEqual(['a', 'b']);
  });

  test.each([
    ['epoch', 40_000],
    ['sequence-number', 3_000_000_000],
  ])('whose %s is out of range is refused, and its connection stands', async (name, value) => {
    const refused = open(aHub(), { ...nobody, [property(name)]: types.wrap_long(value) });
    await expect(refused).rejects.toMatchObject({ condition: 'com.microsoft:argument-error' });
    await send(aHub(), texts(1));
  });

  test('loses its epoch to the one that opens after it', async () => {
    const hub = aHub();
    const sender = await open(hub, nobody);
    const given = sender.properties as unknown as Record<string, number>;
    const id = Number(given[property('id')]);
    await open(hub, { ...nobody, [property('id')]: types.wrap_long(id) });
    const outcome = await outcomeOf(sender, () =>
      sender.send(claimed('late', { id, epoch: 0, number: 1 }), undefined, batchFormat),
    );
    expect(outcome).toMatchObject({ condition: 'com.microsoft:producer-epoch-stolen' });
  });
});

test('five receivers without an owner level read a partition, a sixth does not', async () => {
  const hub = aHub();
  for (let index = 0; index < 5; index += 1) await client.receiver(source(hub));
  const { receiver } = await client.receiver(source(hub));
  await until(() => receiver.error !== undefined);
  expect(errorOf(receiver)).toMatchObject({
    condition: 'amqp:resource-limit-exceeded',
    message:
      'Exceeded the maximum number of allowed receivers per partition in a consumer group which is 5.',
  });
  await client.receiver(`${hub}/ConsumerGroups/other/Partitions/0`);
});

test('an epoch that is no number is refused', async () => {
  const { receiver } = await client.receiver(source(aHub()), {
    properties: { 'com.microsoft:epoch': 'first' },
  });
  await until(() => receiver.error !== undefined);
  expect(errorOf(receiver)).toMatchObject({ condition: 'com.microsoft:argument-error' });
});

test('the answer to an attach has properties, though none: Python merges them into its own', async () => {
  const hub = aHub();
  const properties = { 'com.microsoft:timeout': types.wrap_uint(60_000) };
  const sender = await client.sender(hub, { properties });
  expect(attachedProperties(sender)).toEqual({});
  const { receiver } = await client.receiver(source(hub), { properties });
  expect(attachedProperties(receiver)).toEqual({});
});

function attachedProperties(link: rhea.Sender | rhea.Receiver): unknown {
  const { attach } = (link as unknown as { remote: { attach: { properties?: unknown } } }).remote;
  return attach.properties;
}
