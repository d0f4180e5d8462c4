// Goal: links are answered byte by byte as the SDKs of other languages need it, for machines without them.
import type { EventHubsEmulator } from '../../../local/event-hubs';
import {
  bin,
  codes,
  composite,
  event,
  fieldsOf,
  long,
  map,
  no,
  RawClient,
  str,
  sym,
  ubyte,
  uint,
  yes,
} from '../../support/amqp-raw-client';
import {
  source,
  attach,
  attachReceiver,
  attachSender,
  transfer,
  flow,
  disposition,
  outcomes,
  publish,
  bodyOf,
  bodies,
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
describe('performatives carry all their fields, and no more', () => {
  test('open, begin with a handle-max that is a number, attach, flow, end, close', async () => {
    const [open, begin] = client.frames.filter(({ code }) => code === 0x10 || code === 0x11);
    expect(open?.fields).toHaveLength(10);
    expect(begin?.fields).toHaveLength(8);
    expect(begin?.fields[4]).toBe(0xffff_ffff);
    client.send(attachSender(aHub()));
    const attached = await client.next(codes.attach);
    expect(attached.fields).toHaveLength(14);
    expect(fieldsOf(attached.fields[5])).toHaveLength(11);
    expect(fieldsOf(attached.fields[6])).toHaveLength(7);
    expect((await client.next(codes.flow)).fields).toHaveLength(11);
    client.send(transfer(0, 0), { payload: event('x') });
    expect((await client.next(codes.disposition)).fields).toHaveLength(6);
    client.send(composite(codes.detach, uint(0), yes));
    expect((await client.next(codes.detach)).fields).toHaveLength(3);
    client.send(composite(codes.end));
    expect((await client.next(codes.end)).body.subarray(0, 4).toString('hex')).toBe('005317d0');
    client.send(composite(codes.close));
    expect((await client.next(codes.close)).body.subarray(0, 4).toString('hex')).toBe('005318d0');
  });

  test('an error has its three fields', async () => {
    client.send(attachReceiver(source('nowhere')));
    const { fields } = await client.next(codes.detach);
    expect(fieldsOf(fields[2])).toHaveLength(3);
  });

  test('a target has seven fields although an empty source came before it', async () => {
    const hub = aHub();
    const emptySource = Buffer.from([0x00, 0x53, 0x28, 0x45]);
    const emptyTarget = Buffer.from([0x00, 0x53, 0x29, 0x45]);
    const to = composite(codes.target, str(hub));
    client.send(attach(no, [emptySource, to], {}));
    await client.next(codes.attach);
    const from = composite(codes.source, str(source(hub)));
    client.send(attach(yes, [from, emptyTarget], { handle: 1 }));
    const { fields } = await client.next(codes.attach);
    expect(fieldsOf(fields[5])).toHaveLength(11);
    expect(fieldsOf(fields[6])).toEqual([null, null, null, null, null, null, null]);
  });

  test('a transfer has eleven, ready in the log or in several frames', async () => {
    const hub = aHub();
    await publish(emulator.port, hub, ['short', 'l'.repeat(100_000)]);
    client.send(attachReceiver(source(hub)));
    await client.next(codes.attach);
    client.send(flow(0, 10));
    for (const more of [false, true, false]) {
      const frame = await client.next(codes.transfer);
      expect(frame.body.subarray(0, 6).toString('hex')).toBe('005314c0190b');
      expect(frame.fields.slice(4)).toEqual([true, more, null, null, null, null, null]);
    }
  });
});

describe('settle modes are echoed as asked', () => {
  test.each([
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
    [2, 0],
    [2, 1],
  ])('sender %i, receiver %i, on every kind of link', async (sending, receiving) => {
    const settleModes = [ubyte(sending), ubyte(receiving)] as const;
    const hub = aHub();
    const links = [
      attachSender(hub, { settleModes, handle: 0 }),
      attachReceiver(source(hub), { settleModes, handle: 1 }),
      attachSender('$cbs', { settleModes, handle: 2 }),
      attachReceiver('$cbs', { settleModes, handle: 3 }),
      attachSender('$management', { settleModes, handle: 4 }),
      attachReceiver('$management', { settleModes, handle: 5 }),
    ];
    for (const link of links) {
      client.send(link);
      expect((await client.next(codes.attach)).fields.slice(3, 5)).toEqual([sending, receiving]);
    }
    hubs -= 1;
  });

  test('a sender that settles nothing itself is answered; one that settles is not', async () => {
    client.send(attachSender(`${aHub()}/Partitions/0`, { settleModes: [ubyte(1), ubyte(0)] }));
    await client.next(codes.flow);
    client.send(composite(codes.transfer, uint(0), uint(0), bin('0'), uint(0), yes, no), {
      payload: event('settled'),
    });
    client.send(transfer(0, 1), { payload: event('not settled') });
    const { fields } = await client.next(codes.disposition);
    expect(fields.slice(1, 4)).toEqual([1, 1, true]);
  });

  test('a sender that asks the receiver to settle second hangs on no outcome: each comes settled', async () => {
    client.send(attachSender(`${aHub()}/Partitions/0`, { settleModes: [ubyte(0), ubyte(1)] }));
    await client.next(codes.flow);
    for (let id = 0; id < 3; id += 1) {
      client.send(transfer(0, id), { payload: event('x') });
      const { fields } = await client.next(codes.disposition);
      expect(fields.slice(1, 4)).toEqual([id, id, true]);
      // One that settles all the same is not heard.
      client.send(composite(codes.disposition, no, uint(id), uint(id), yes));
    }
    client.send(transfer(0, 3), { payload: Buffer.from('no message') });
    const { fields } = await client.next(codes.disposition);
    expect(fields.slice(1, 4)).toEqual([3, 3, true]);
  });

  test('a request on a link that settles second comes settled too', async () => {
    const settleModes = [ubyte(0), ubyte(1)] as const;
    client.send(attachSender('$management', { settleModes }));
    await client.next(codes.flow);
    client.send(transfer(0, 0), { payload: event('no request') });
    expect((await client.next(codes.disposition)).fields.slice(1, 4)).toEqual([0, 0, true]);
  });
});

test('events come although a reply of the same session is never settled', async () => {
  const hub = aHub();
  await publish(emulator.port, hub, ['a']);
  const settleModes = [ubyte(0), ubyte(1)] as const;
  client.send(attachReceiver('$management', { settleModes, handle: 0 }));
  client.send(attachSender('$management', { settleModes, handle: 1 }));
  await client.next(codes.attach);
  await client.next(codes.attach);
  client.send(flow(0, 10));
  client.send(transfer(1, 0), { payload: event('no operation: answered with an error') });
  expect((await client.next(codes.transfer)).fields[4]).toBe(false);
  client.send(attachReceiver(source(hub), { handle: 2 }));
  await client.next(codes.attach);
  client.send(flow(2, 10));
  expect(await bodies(client, 1)).toEqual(['a']);
});

describe('a receiver that asked for unsettled deliveries', () => {
  const open = async (hub: string, receiving: number): Promise<void> => {
    client.send(attachReceiver(source(hub), { settleModes: [ubyte(0), ubyte(receiving)] }));
    await client.next(codes.attach);
    client.send(flow(0, 100));
  };

  test('gets them, and what it releases or gives back comes again', async () => {
    const hub = aHub();
    await publish(emulator.port, hub, ['a', 'b', 'c', 'd']);
    await open(hub, 0);
    const first = await client.next(codes.transfer);
    expect([bodyOf(first), first.fields[4]]).toEqual(['a', false]);
    expect(await bodies(client, 3)).toEqual(['b', 'c', 'd']);
    client.send(disposition(0, 0, yes, composite(outcomes.accepted)));
    client.send(disposition(1, 2, yes, composite(outcomes.released)));
    expect(await bodies(client, 2)).toEqual(['b', 'c']);
    client.send(disposition(3, 3, yes, composite(outcomes.modified, yes, no)));
    expect(await bodies(client, 1)).toEqual(['d']);
    client.send(disposition(4, 4, yes, composite(outcomes.modified, no, yes)));
    client.send(disposition(5, 6, yes, composite(outcomes.rejected)));
    await publish(emulator.port, hub, ['e']);
    expect(await bodies(client, 1)).toEqual(['e']);
  });

  test('and waits for the sender to settle is settled', async () => {
    const hub = aHub();
    await publish(emulator.port, hub, ['a', 'b', 'c']);
    await open(hub, 1);
    expect(await bodies(client, 3)).toEqual(['a', 'b', 'c']);
    client.send(disposition(0, 1, no, composite(outcomes.accepted)));
    const { fields } = await client.next(codes.disposition);
    expect(fields.slice(0, 4)).toEqual([false, 0, 1, true]);
    expect(fields[4]).toMatchObject({ descriptor: outcomes.accepted });
  });

  test('gets a long event unsettled in all its frames', async () => {
    const hub = aHub();
    await publish(emulator.port, hub, ['l'.repeat(100_000)]);
    await open(hub, 0);
    const frames = [await client.next(codes.transfer), await client.next(codes.transfer)];
    expect(frames.map(({ fields }) => fields[4])).toEqual([false, false]);
    client.send(disposition(0, 0, yes, composite(outcomes.released)));
    expect((await client.next(codes.transfer)).fields[1]).toBe(1);
  });
});

describe('a refused link is answered without its end before it is detached', () => {
  const expectRefused = async (isReader: boolean, condition: string): Promise<void> => {
    const attached = await client.next(codes.attach, codes.detach);
    expect(attached.code).toBe(codes.attach);
    expect(attached.fields[isReader ? 5 : 6]).toBeNull();
    expect(readDetach(await client.next(codes.detach))).toMatchObject({ ...isDetach, condition });
  };

  test.each<[string, boolean, Buffer, string]>([
    ['a sender to an unknown hub', false, attachSender('nowhere'), 'amqp:not-found'],
    ['a reader of an unknown hub', true, attachReceiver(source('nowhere')), 'amqp:not-found'],
    ['a reader of an unknown group', true, attachReceiver(source('hub-0', 'no')), 'amqp:not-found'],
    [
      'a sender to an unknown partition',
      false,
      attachSender('hub-0/Partitions/9'),
      'com.microsoft:argument-out-of-range',
    ],
    [
      'a reader of an unknown partition',
      true,
      attachReceiver('hub-0/ConsumerGroups/$default/Partitions/9'),
      'com.microsoft:argument-out-of-range',
    ],
    [
      'a reader from a place that is none',
      true,
      attachReceiver(source('hub-0'), { filter: 'amqp.annotation.x-opt-offset > tomorrow' }),
      'com.microsoft:georeplication:invalid-offset',
    ],
    ['requests about an unknown hub', false, attachSender('nowhere/$management'), 'amqp:not-found'],
    ['answers about an unknown hub', true, attachReceiver('nowhere/$management'), 'amqp:not-found'],
    ['tokens for an unknown hub', false, attachSender('nowhere/$cbs'), 'amqp:not-found'],
  ])('%s', async (_name, isReader, frame, condition) => {
    client.send(frame);
    await expectRefused(isReader, condition);
  });

  test('a lower owner level', async () => {
    const hub = aHub();
    const epoch = (level: bigint, handle: number): Buffer =>
      attachReceiver(source(hub), {
        ...{ handle, properties: map(sym('com.microsoft:epoch'), long(level)) },
      });
    client.send(epoch(2n, 0));
    expect((await client.next(codes.attach)).fields[5]).not.toBeNull();
    client.send(epoch(1n, 1));
    await expectRefused(true, 'amqp:link:stolen');
  });

  test('a sixth reader', async () => {
    const hub = aHub();
    for (let handle = 0; handle < 5; handle += 1) {
      client.send(attachReceiver(source(hub), { handle }));
      expect((await client.next(codes.attach)).fields[5]).not.toBeNull();
    }
    client.send(attachReceiver(source(hub), { handle: 5 }));
    await expectRefused(true, 'amqp:resource-limit-exceeded');
  });

  test('a hub that was deleted', async () => {
    await fetch(`http://127.0.0.1:${emulator.controlPort}/hubs/hub-39`, { method: 'DELETE' });
    client.send(attachReceiver(source('hub-39')));
    await expectRefused(true, 'amqp:not-found');
    client.send(attachSender('hub-39', { handle: 1 }));
    await expectRefused(false, 'amqp:not-found');
  });
});
