// Goal: no client, by malice or by dying, takes the process or the others down or grows its memory
// without bound; each is told why it is ended.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { EventHubConsumerClient } from '@azure/event-hubs';
import * as fc from 'fast-check';
import { message, types } from 'rhea';
import { startEventHubsEmulator, type EventHubsEmulator } from '../../../local/event-hubs';
import {
  BareClient,
  batchOf,
  dataMessage,
  errorOf,
  outcomeOf,
  sessionOf,
  until,
} from '../../support/amqp-bare-client';
import { receive } from '../../support/event-hubs';

jest.setTimeout(60_000);

const batchFormat = 0x80013700;
const amqpHeader = Buffer.from('414d515000010000', 'hex');
const lines: string[] = [];
let emulator: EventHubsEmulator;
let bystander: BareClient;

beforeAll(async () => {
  emulator = await startEventHubsEmulator({
    ...{ port: 0, controlPort: 0, createOnTheFly: true },
    log: (line) => lines.push(line),
  });
  bystander = await BareClient.open(emulator.port);
});

// Whatever a client did: another one, connected before, is served.
afterEach(async () => {
  const sender = await bystander.sender('bystander/Partitions/0');
  const outcome = await outcomeOf(sender, () =>
    sender.send(dataMessage(Buffer.from('fine')), undefined, 0),
  );
  sender.close();
  expect(outcome).toBe('accepted');
});

afterAll(async () => {
  await bystander.close();
  await emulator.close();
});

async function raw(): Promise<Socket> {
  const socket = connect(emulator.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

function frame(hex: string, size?: number): Buffer {
  const body = Buffer.from(hex, 'hex');
  const bytes = Buffer.alloc(8 + body.length);
  bytes.writeUInt32BE(size ?? bytes.length, 0);
  bytes.set([2, 0, 0, 0], 4);
  bytes.set(body, 8);
  return bytes;
}

const open = frame('005310c00401a10161');

test.each<[string, Buffer[]]>([
  ['noise', [Buffer.from('GET / HTTP/1.1\r\n\r\n')]],
  ['a frame of no bytes', [amqpHeader, Buffer.alloc(8)]],
  ['a frame of 4 GiB', [amqpHeader, Buffer.from('ffffffff02000000', 'hex')]],
  ['a list of four billion', [amqpHeader, frame('005310d000000004ffffffff')]],
  [
    'a list of thirty million in another',
    [amqpHeader, frame('005310d00000000c01c9c380d00000000401c9c380')],
  ],
  [
    'an array of four billion empty elements',
    [amqpHeader, frame('005310c00b01f000000005ffffffff43')],
  ],
  ['values within values without end', [amqpHeader, frame('005310' + 'c0ff01'.repeat(10_000))]],
  ['a performative that is none', [amqpHeader, frame('0053994500')]],
  ['a value that is no performative', [amqpHeader, frame('a10178')]],
  ['an end without a begin', [amqpHeader, open, frame('00531745')]],
])('%s ends the connection, and it alone', async (_name, bytes) => {
  const before = process.memoryUsage().rss;
  const socket = await raw();
  const closed = once(socket, 'close');
  socket.resume();
  for (const one of bytes) socket.write(one);
  await closed;
  expect(process.memoryUsage().rss - before).toBeLessThan(256 * 1024 * 1024);
});

test('an Open twice is told so before the connection ends', async () => {
  const client = await BareClient.open(emulator.port);
  const closed = once(client.connection, 'connection_close');
  (client.connection as unknown as { _write_open(): void })._write_open();
  await closed;
  expect(client.connection.error).toMatchObject({ condition: 'amqp:decode-error' });
});

test('frames too small for the protocol end the connection with the reason, not the process', async () => {
  const socket = await raw();
  const answer: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => answer.push(chunk));
  const closed = once(socket, 'close');
  // An Open with a max-frame-size of 10.
  socket.write(Buffer.concat([amqpHeader, frame('005310c00703a1016140520a')]));
  await closed;
  expect(Buffer.concat(answer).toString('latin1')).toMatch(
    /millrace-event-hubs[^]*amqp:invalid-field.*A max-frame-size of 10: it must be at least 512\./,
  );
});

test('a disposition of four billion deliveries is over at once', async () => {
  const client = await BareClient.open(emulator.port);
  const { receiver } = await client.receiver('settled/ConsumerGroups/$default/Partitions/0');
  const output = (hex: string): void => {
    const bytes = frame(hex);
    bytes.writeUInt16BE(
      (receiver.session as unknown as { local: { channel: number } }).local.channel,
      6,
    );
    (client.connection as unknown as { socket: Socket }).socket.write(bytes);
  };
  const startedAt = Date.now();
  // Role receiver, then sender; from 0 to 4294967295; settled.
  for (const role of ['41', '42']) output(`005315c00904${role}4370ffffffff41`);
  const sender = await client.sender('settled/Partitions/0');
  const outcome = await outcomeOf(sender, () =>
    sender.send(dataMessage(Buffer.from('fine')), undefined, 0),
  );
  expect(outcome).toBe('accepted');
  expect(Date.now() - startedAt).toBeLessThan(2_000);
  await client.close();
});

test('four billion of credit are given back at once', async () => {
  const client = await BareClient.open(emulator.port);
  const { receiver } = await client.receiver('drained/ConsumerGroups/$default/Partitions/0', {
    credit_window: 0,
  });
  receiver.add_credit(4_294_967_295);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const startedAt = Date.now();
  const drained = once(receiver, 'receiver_drained');
  receiver.drain_credit();
  await drained;
  expect(Date.now() - startedAt).toBeLessThan(2_000);
  await client.close();
});

test('an idle time without end makes for no heartbeat without end', async () => {
  const warnings: Error[] = [];
  const gather = (warning: Error): void => void warnings.push(warning);
  process.on('warning', gather);
  const socket = await raw();
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
  // An Open with an idle-time-out of 4294967295.
  socket.write(Buffer.concat([amqpHeader, frame('005310c00c05a1016140404070ffffffff')]));
  await new Promise((resolve) => setTimeout(resolve, 300));
  socket.destroy();
  process.off('warning', gather);
  // Header and Open.
  expect(bytes).toBeLessThan(100);
  expect(warnings).toEqual([]);
});

describe('corrupt messages', () => {
  const properties = '005373c00100';
  const body = '005375a00178';
  test.each<[string, string]>([
    ['nothing', ''],
    ['no body', properties],
    ['a section that is none', `005379a000${body}`],
    ['annotations that are a list of text', `005372c00401a10178${body}`],
    ['annotations with a key and no value', `005372c10401a10178${body}`],
    ['annotations shorter than their entries', `005372c10302a1${body}`],
    ['annotations of none, with bytes', `005372c103004040${body}`],
    ['annotations whose value is cut short', `005372c10702a10178a109${body}`],
    ['annotations within which a list lies', `005372c10902a10178c00305404040${body}`],
    ['a body that is cut short', '005375a00578'],
    ['a body before its properties', `${body}${properties}`],
    ['two bodies of different kinds', `${body}00537740`],
    ['a type that AMQP does not know', '0053774f'],
  ])('%s: amqp:decode-error', async (_name, hex) => {
    const client = await BareClient.open(emulator.port);
    const sender = await client.sender('corrupt/Partitions/0');
    const bytes = Buffer.from(hex, 'hex');
    const alone = await outcomeOf(sender, () => sender.send(bytes, undefined, 0));
    const within = await outcomeOf(sender, () =>
      sender.send(batchOf([bytes]), undefined, batchFormat),
    );
    const condition = 'amqp:decode-error';
    expect([alone, within]).toEqual([
      expect.objectContaining({ condition }),
      expect.objectContaining({ condition }),
    ]);
    await client.close();
  });

  test('whatever bytes are changed: refused as corrupt, or readable for the SDK', async () => {
    const client = await BareClient.open(emulator.port);
    const hub = 'changed';
    const sender = await client.sender(`${hub}/Partitions/0`);
    const whole = message.encode({
      ...{ durable: true, message_annotations: { key: types.wrap_list(['x', 1]) } },
      ...{ content_type: 'text/plain', application_properties: { a: 'b', c: [1, 'd'] } },
      body: message.data_section(Buffer.from('body')),
    });
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 3 }),
        async (changes) => {
          const bytes = Buffer.from(whole);
          for (const [at, byte] of changes) bytes[at] = byte;
          const outcome = await outcomeOf(sender, () => sender.send(bytes, undefined, 0));
          if (outcome === 'accepted') accepted += 1;
          else expect(outcome.condition).toBe('amqp:decode-error');
        },
      ),
      { numRuns: 500 },
    );
    await client.close();
    const consumer = new EventHubConsumerClient('$Default', emulator.connectionString, hub);
    const startPosition = { offset: '-1' };
    const events = await receive(consumer, { partition: '0', count: accepted, startPosition });
    await consumer.close();
    expect(events).toHaveLength(accepted);
  });
});

test('a message that never ends costs its link, not memory', async () => {
  const client = await BareClient.open(emulator.port);
  const sender = await client.sender('endless/Partitions/0');
  sender.send(Buffer.alloc(6 * 1024 * 1024), undefined, 0);
  await until(() => sender.error !== undefined);
  expect(errorOf(sender)).toMatchObject({ condition: 'amqp:link:message-size-exceeded' });
  const other = await client.sender('endless/Partitions/0');
  const outcome = await outcomeOf(other, () =>
    other.send(dataMessage(Buffer.from('whole')), undefined, 0),
  );
  expect(outcome).toBe('accepted');
  await client.close();
});

test('a request that never ends costs its link, not memory', async () => {
  const client = await BareClient.open(emulator.port);
  for (const address of ['$cbs', '$management']) {
    const sender = await client.sender(address);
    sender.send(Buffer.alloc(6 * 1024 * 1024), undefined, 0);
    await until(() => sender.error !== undefined);
    expect(errorOf(sender)).toMatchObject({ condition: 'amqp:link:message-size-exceeded' });
  }
  await client.close();
});

test('parts of messages go with their session', async () => {
  const client = await BareClient.open(emulator.port);
  // Each leaves three mebibytes behind of a message that it does not end.
  for (let round = 0; round < 90; round += 1) {
    const sender = await client.sender('parts/Partitions/0');
    const session = sessionOf(sender) as unknown as {
      output(frame: { more?: boolean }, payload?: Buffer): void;
    };
    const output = session.output.bind(session);
    session.output = (transfer, payload) => {
      if (payload !== undefined) transfer.more = true;
      output(transfer, payload);
    };
    sender.send(Buffer.alloc(3 * 1024 * 1024), undefined, 0);
    await new Promise((resolve) => setTimeout(resolve, 5));
    sender.session.close();
    await once(sender.session, 'session_close');
  }
  const sender = await client.sender('parts/Partitions/0');
  const outcome = await outcomeOf(sender, () =>
    sender.send(dataMessage(Buffer.from('fine')), undefined, 0),
  );
  expect(outcome).toBe('accepted');
  await client.close();
});

test('thousands of links are served; more than the limit end their connection with the reason', async () => {
  const client = await BareClient.open(emulator.port);
  const first = await client.sender('links/Partitions/0');
  const closed = once(client.connection, 'connection_close');
  for (let index = 0; index < 5_001; index += 1) {
    first.session.open_sender({ name: `link-${index}`, target: { address: 'links/Partitions/0' } });
  }
  await closed;
  expect(client.connection.error).toMatchObject({
    condition: 'amqp:resource-limit-exceeded',
    description: 'More than 5000 links on one connection.',
  });
});

test('links that come and go leave nothing behind in the server', async () => {
  const client = await BareClient.open(emulator.port);
  for (let index = 0; index < 300; index += 1) {
    const { receiver } = await client.receiver('gone/ConsumerGroups/$default/Partitions/0');
    const closed = once(receiver, 'receiver_close');
    receiver.close();
    await closed;
  }
  // Without owner levels five may read: those that went are not counted.
  const { receiver } = await client.receiver('gone/ConsumerGroups/$default/Partitions/0');
  expect(receiver.error).toBeUndefined();
  await client.close();
});

test('clients that vanish give their places up', async () => {
  const source = 'vanished/ConsumerGroups/$default/Partitions/0';
  for (let round = 0; round < 10; round += 1) {
    const client = await BareClient.open(emulator.port);
    const { receiver } = await client.receiver(source);
    expect(receiver.error).toBeUndefined();
    client.vanish(round % 2 === 0 ? 'reset' : 'end');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

test('a reader that asks for everything and reads nothing waits, and costs little', async () => {
  const hub = 'slow';
  const sender = await bystander.sender(`${hub}/Partitions/0`);
  const events = batchOf(Array.from({ length: 100 }, () => dataMessage(Buffer.alloc(10_000, 'w'))));
  const sendAll = async (rounds: number): Promise<void> => {
    for (let round = 0; round < rounds; round += 1) {
      await outcomeOf(sender, () => sender.send(events, undefined, batchFormat));
    }
  };
  await sendAll(100);
  const slow = await BareClient.open(emulator.port, { sessionBufferSize: 1_000_000 });
  const { receiver } = await slow.receiver(`${hub}/ConsumerGroups/$default/Partitions/0`, {
    credit_window: 0,
  });
  const socket = (slow.connection as unknown as { socket: Socket }).socket;
  receiver.add_credit(4_000_000);
  await new Promise((resolve) => setImmediate(resolve));
  socket.pause();
  const before = process.memoryUsage().rss;
  const warnings: Error[] = [];
  const gather = (warning: Error): void => void warnings.push(warning);
  process.on('warning', gather);
  await sendAll(50);
  process.off('warning', gather);
  expect(warnings.map(({ name }) => name)).not.toContain('MaxListenersExceededWarning');
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024);
  let count = 0;
  receiver.on('message', () => (count += 1));
  socket.resume();
  sender.close();
  await until(() => count >= 10_000);
  await slow.close();
});

test('an aborted message was never there', async () => {
  const client = await BareClient.open(emulator.port);
  const hub = 'aborted';
  const sender = await client.sender(`${hub}/Partitions/0`);
  const session = sessionOf(sender) as unknown as {
    output(frame: { performative?: unknown }, payload?: Buffer): void;
  };
  const output = session.output.bind(session);
  // Of a message in two frames the second becomes an abort.
  session.output = (transfer, payload) => {
    const fields = transfer as unknown as { value?: unknown; more?: boolean; aborted?: boolean };
    if (payload !== undefined && fields.more === false) {
      fields.aborted = true;
      return output(transfer);
    }
    return output(transfer, payload);
  };
  sessionOf(sender).outgoing.compute_max_payload = () => 100;
  sender.send(dataMessage(Buffer.alloc(150, 'n')), undefined, 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  session.output = output;
  const outcome = await outcomeOf(sender, () =>
    sender.send(dataMessage(Buffer.from('kept')), undefined, 0),
  );
  expect(outcome).toBe('accepted');
  const { messages } = await client.receiver(`${hub}/ConsumerGroups/$default/Partitions/0`);
  await until(() => messages.length === 1);
  expect(messages[0]?.body.toString()).toBe('kept');
  await client.close();
});

test('hub names that are none, or reach out of the folder, make no hub', async () => {
  const client = await BareClient.open(emulator.port);
  for (const name of ['..', '.', '%2e%2e', 'a b', 'x'.repeat(300), '-x', 'nul\0']) {
    await expect(client.sender(name)).rejects.toMatchObject({ condition: 'amqp:not-found' });
  }
  await client.close();
});
