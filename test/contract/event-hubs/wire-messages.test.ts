// Goal: requests and events of other SDKs are taken and answered byte by byte as they need it.
import type { EventHubsEmulator } from '../../../local/event-hubs';
import {
  bin,
  codes,
  composite,
  described,
  entriesOf,
  event,
  int,
  long,
  map,
  no,
  none,
  RawClient,
  sectionsOf,
  short,
  str,
  sym,
  uint,
  yes,
  type RawValue,
} from '../../support/amqp-raw-client';
import {
  source,
  attachReceiver,
  attachSender,
  transfer,
  flow,
  outcomes,
  sendLong,
  publish,
  outcomeOf,
  bodies,
  readAll,
  isDetach,
  readDetach,
  startWithHubs,
} from '../../support/amqp-raw-links';

jest.setTimeout(60_000);

let emulator: EventHubsEmulator;
let client: RawClient;
let hubs = 0;

beforeAll(async () => {
  emulator = await startWithHubs(40);
});

beforeEach(async () => {
  client = await RawClient.begin(emulator.port);
});

afterEach(() => {
  client.end();
});

afterAll(async () => {
  await emulator.close();
});

/** A hub that no other test has written to. */
const aHub = (): string => `hub-${(hubs += 1) - 1}`;
test('a reader is named no largest message, and gets one as long as can be sent', async () => {
  const hub = aHub();
  const text = 'm'.repeat(1_048_400);
  const producer = await RawClient.begin(emulator.port);
  producer.send(attachSender(`${hub}/Partitions/0`));
  expect((await producer.next(codes.attach)).fields[10]).toBe(1_048_576n);
  await producer.next(codes.flow);
  sendLong(producer, 0, event(text));
  expect(await outcomeOf(producer)).toBe(outcomes.accepted);
  producer.end();
  client.send(attachReceiver(source(hub)));
  expect((await client.next(codes.attach)).fields[10]).toBeNull();
  client.send(flow(0, 1));
  const parts: Buffer[] = [];
  for (let isMore = true; isMore;) {
    const { fields, payload: part } = await client.next(codes.transfer);
    parts.push(part);
    isMore = fields[5] === true;
  }
  expect(sectionsOf(Buffer.concat(parts)).get(0x75)).toHaveLength(text.length);
});

describe('requests', () => {
  const request = (id: Buffer, properties: readonly Buffer[]): Buffer =>
    Buffer.concat([
      composite(0x73, id),
      described(0x74, map(...properties)),
      described(0x77, str('')),
    ]);
  const readPartition = (hub: string): Buffer[] => [
    ...[str('operation'), str('READ'), str('name'), str(hub), str('partition'), str('0')],
    ...[str('type'), str('com.microsoft:partition')],
  ];

  async function ask(node: string, payload: Buffer): Promise<ReadonlyMap<number, RawValue>> {
    client.send(attachSender(node, { handle: 0 }));
    client.send(attachReceiver(node, { handle: 1 }));
    await client.next(codes.attach);
    await client.next(codes.attach);
    client.send(flow(1, 10));
    client.send(transfer(0, 0), { payload });
    const answered = await client.next(codes.transfer);
    expect(answered.fields).toHaveLength(11);
    return sectionsOf(answered.payload);
  }

  test('without reply-to are answered on the link that reads from the same node', async () => {
    const sections = await ask('$management', request(str('1'), readPartition('hub-0')));
    expect(entriesOf(sections.get(0x74)).get('status-code')).toBe(200);
  });

  test('on $cbs too', async () => {
    const sections = await ask('$cbs', request(str('1'), [str('operation'), str('put-token')]));
    // The token is none: it is the answer that counts.
    expect(entriesOf(sections.get(0x74)).get('status-code')).toBe(401);
  });

  test('are answered with the id in its own type', async () => {
    const ids = [bin('xyz'), Buffer.from('8000000000000000ff', 'hex'), str('text')];
    const uuid = Buffer.concat([Buffer.from([0x98]), Buffer.alloc(16, 7)]);
    for (const id of [...ids, uuid]) {
      client = await RawClient.begin(emulator.port);
      const sections = await ask('$management', request(id, readPartition('hub-0')));
      const [expected] = sectionsOf(composite(0x73, id)).get(0x73) as readonly RawValue[];
      expect((sections.get(0x73) as readonly RawValue[])[5]).toEqual(expected);
      client.end();
    }
  });

  test('about a partition are told the epochs of its numbers', async () => {
    const sections = await ask('$management', request(str('1'), readPartition('hub-0')));
    const body = entriesOf(sections.get(0x77));
    expect([...body.keys()]).toEqual(
      expect.arrayContaining([
        'begin_sequence_number_epoch',
        'last_enqueued_sequence_number_epoch',
      ]),
    );
  });
});

test('delivery annotations behind the body are taken, and are not kept', async () => {
  const hub = aHub();
  const annotations = described(0x71, map(sym('x-opt-hop'), str('1')));
  const payload = Buffer.concat([event('annotated'), annotations]);
  client.send(attachSender(`${hub}/Partitions/0`));
  await client.next(codes.flow);
  client.send(transfer(0, 0), { payload });
  expect(await outcomeOf(client)).toBe(outcomes.accepted);
  client.send(transfer(0, 1, 0x8001_3700), {
    payload: Buffer.concat([described(0x75, bin(payload)), annotations]),
  });
  expect(await outcomeOf(client)).toBe(outcomes.accepted);
  expect(await readAll(emulator.port, hub, 2)).toEqual(['annotated', 'annotated']);
});

describe('an idempotent producer', () => {
  const capability = 'com.microsoft:idempotent-producer';
  const property = (name: string): Buffer => sym(`com.microsoft:producer-${name}`);
  const numbered = (text: string, number: number): Buffer =>
    described(
      0x75,
      bin(
        Buffer.concat([
          described(
            0x72,
            map(
              ...[property('id'), long(5n), property('epoch'), short(0)],
              ...[property('sequence-number'), int(number)],
            ),
          ),
          event(text),
        ]),
      ),
    );
  const producer = (number: number): Buffer =>
    map(
      ...[property('id'), long(5n), property('epoch'), short(0)],
      ...[property('sequence-number'), int(number)],
    );

  test('may have a link to the hub', async () => {
    client.send(attachSender(aHub(), { capability }));
    expect((await client.next(codes.attach)).fields[6]).not.toBeNull();
    await client.next(codes.flow);
    client.send(transfer(0, 0), { payload: event('x') });
    expect(await outcomeOf(client)).toBe(outcomes.accepted);
  });

  test('begins again at 0 after the largest number', async () => {
    const hub = aHub();
    const address = `${hub}/Partitions/0`;
    const last = 2 ** 31 - 1;
    client.send(attachSender(address, { capability, properties: producer(last - 2) }));
    await client.next(codes.flow);
    const batches = [
      numbered('a', last - 1),
      Buffer.concat([numbered('b', last), numbered('c', 0)]),
      // The same once more: kept once.
      Buffer.concat([numbered('b', last), numbered('c', 0)]),
      numbered('d', 1),
    ];
    for (const [id, payload] of batches.entries()) {
      client.send(transfer(0, id, 0x8001_3700), { payload });
      expect(await outcomeOf(client)).toBe(outcomes.accepted);
    }
    client.send(transfer(0, 4, 0x8001_3700), { payload: numbered('f', 3) });
    expect(await outcomeOf(client)).toBe(outcomes.rejected);
    expect(await readAll(emulator.port, hub, 4)).toEqual(['a', 'b', 'c', 'd']);
  });
});

test('what comes on a link that a fault switch has detached is not kept', async () => {
  const hub = aHub();
  client.send(attachSender(`${hub}/Partitions/0`));
  await client.next(codes.flow);
  await fetch(`http://127.0.0.1:${emulator.controlPort}/faults`, {
    method: 'POST',
    body: JSON.stringify({ kind: 'detach-links', direction: 'send', hub }),
  });
  await client.next(codes.detach);
  client.send(transfer(0, 0), { payload: event('too late') });
  client.send(composite(codes.detach, uint(0), yes));
  client.send(attachSender(`${hub}/Partitions/0`, { handle: 1 }));
  await client.next(codes.flow);
  client.send(transfer(1, 1), { payload: event('again') });
  expect((await client.next(codes.disposition)).fields.slice(1, 3)).toEqual([1, 1]);
  expect(await readAll(emulator.port, hub, 1)).toEqual(['again']);
});

test('a reader one past the last offset, inclusive, is refused in the words of the service', async () => {
  const hub = aHub();
  await publish(emulator.port, hub, ['a']);
  const response = await fetch(`http://127.0.0.1:${emulator.controlPort}/hubs`);
  const { hubs: all } = (await response.json()) as {
    hubs: { name: string; partitions: { lastOffset: number }[] }[];
  };
  const last = all.find(({ name }) => name === hub)?.partitions[0]?.lastOffset ?? 0;
  const at = (offset: number, handle: number): Buffer =>
    attachReceiver(source(hub), {
      ...{ handle, filter: `amqp.annotation.x-opt-offset >= '${offset}'` },
    });
  client.send(at(last, 0));
  expect((await client.next(codes.attach)).fields[5]).not.toBeNull();
  client.send(at(last + 1, 1));
  expect(readDetach(await client.next(codes.detach))).toEqual({
    ...isDetach,
    condition: 'com.microsoft:argument-error',
    text: `The supplied offset '${last + 1}' is invalid. The last offset in the system is '${last}'`,
  });
});

test('a sender and a reader may have one name', async () => {
  const hub = aHub();
  await publish(emulator.port, hub, ['x']);
  client.send(attachSender(`${hub}/Partitions/0`, { name: 'twin', handle: 0 }));
  client.send(attachReceiver(source(hub), { name: 'twin', handle: 1 }));
  const attached = [await client.next(codes.attach), await client.next(codes.attach)];
  expect(attached.map(({ fields }) => fields.slice(0, 3))).toEqual([
    ['twin', 0, true],
    ['twin', 1, false],
  ]);
  client.send(flow(1, 5));
  expect(await bodies(client, 1)).toEqual(['x']);
  client.send(composite(codes.detach, uint(1), yes));
  await client.next(codes.detach);
  client.send(transfer(0, 0), { payload: event('y') });
  expect(await outcomeOf(client)).toBe(outcomes.accepted);
});

test('a sender that does not count from 0 has credit', async () => {
  const start = 4_000_000_000;
  client.send(
    composite(
      codes.attach,
      ...[str('late'), uint(0), no, none, none, composite(codes.source)],
      ...[composite(codes.target, str(aHub())), none, none, uint(start)],
    ),
  );
  const { fields } = await client.next(codes.flow);
  expect(fields.slice(5, 7)).toEqual([start, 1_000]);
});
