// Goal: credit, drain and session windows are kept to by the letter, whatever a client does with them:
// nothing is sent that was not asked for, and nobody waits for what is there.
import { once } from 'node:events';
import type * as rhea from 'rhea';
import { startEventHubsEmulator, type EventHubsEmulator } from '../../../local/event-hubs';
import {
  BareClient,
  batchOf,
  dataMessage,
  outcomeOf,
  sessionOf,
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

test('no event is sent without credit, and what was asked for at once is', async () => {
  const hub = aHub();
  await send(hub, texts(30));
  const { messages, receiver } = await client.receiver(source(hub), { credit_window: 0 });
  receiver.add_credit(7);
  await until(() => messages.length === 7);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(messages).toHaveLength(7);
  receiver.add_credit(100);
  await until(() => messages.length === 30);
  expect(messages.map(({ sequenceNumber }) => sequenceNumber)).toEqual([...Array(30).keys()]);
});

test('credit is given back on drain, with what there is sent first', async () => {
  const hub = aHub();
  await send(hub, texts(3));
  const { messages, receiver } = await client.receiver(source(hub), { credit_window: 0 });
  receiver.add_credit(100);
  await until(() => messages.length === 3);
  const drained = new Promise((resolve) => receiver.once('receiver_drained', resolve));
  receiver.drain_credit();
  await drained;
  expect((receiver as unknown as { credit: number }).credit).toBe(0);
  await send(hub, texts(1));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(messages).toHaveLength(3);
});

test('a drain that asks for an echo is answered when what there is was sent', async () => {
  const hub = aHub();
  await send(hub, texts(3));
  const { messages, receiver } = await client.receiver(source(hub), { credit_window: 0 });
  const session = sessionOf(receiver) as unknown as {
    output(frame: { echo?: boolean }): void;
  };
  const output = session.output.bind(session);
  session.output = (flow) => output(Object.assign(flow, { echo: true }));
  let atDrain = -1;
  const drained = new Promise<void>((resolve) => {
    receiver.once('receiver_drained', () => {
      atDrain = messages.length;
      resolve();
    });
  });
  receiver.add_credit(100);
  receiver.drain_credit();
  await drained;
  expect(atDrain).toBe(3);
});

test('a receiver that the session window stopped goes on at a flow of the session', async () => {
  const hub = aHub();
  await send(hub, texts(40));
  const narrow = await BareClient.open(emulator.port, { sessionBufferSize: 10 });
  const { messages, receiver } = await narrow.receiver(source(hub), {
    credit_window: 0,
    // What is not settled keeps its place in the window.
    autosettle: false,
  });
  const session = sessionOf(receiver);
  const process = (session.incoming as unknown as { process: () => void }).process;
  (session.incoming as unknown as { process: () => void }).process = () => undefined;
  receiver.add_credit(1_000);
  await until(() => messages.length === 10);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(messages).toHaveLength(10);
  (session.incoming as unknown as { process: () => void }).process = process;
  // Pre-settled deliveries leave rhea's buffer when it looks: then a flow of the session follows.
  const deliveries = (
    session.incoming as unknown as {
      deliveries: { pop_if(matches: () => boolean): number };
    }
  ).deliveries;
  deliveries.pop_if(() => true);
  session._write_flow();
  await until(() => messages.length >= 20);
  await narrow.close();
});

describe('two receivers of one session', () => {
  // A runtime metric makes each message anew: those past the window wait in the link.
  const options = {
    credit_window: 0,
    desired_capabilities: 'com.microsoft:enable-receiver-runtime-metric',
  };

  /** Two links on one session whose window is narrow, over partitions of 40 events each. */
  async function open(frameBytes: number): Promise<{
    readonly narrow: BareClient;
    readonly receivers: rhea.Receiver[];
    readonly bodies: string[][];
  }> {
    const hub = aHub();
    for (const partition of [0, 1]) {
      const sender = await client.sender(`${hub}/Partitions/${partition}`);
      const events = texts(40).map((text) =>
        dataMessage(Buffer.concat([text, Buffer.alloc(1_000, '.')])),
      );
      await outcomeOf(sender, () => sender.send(batchOf(events), undefined, batchFormat));
    }
    const narrow = await BareClient.open(emulator.port, {
      sessionBufferSize: 10,
      max_frame_size: frameBytes,
    });
    const { receiver: first } = await narrow.receiver(source(hub, 0), options);
    const second = first.session.open_receiver({
      source: { address: source(hub, 1) },
      target: { address: 'bare' },
      autoaccept: false,
      ...options,
    });
    await once(second, 'receiver_open');
    const receivers = [first, second];
    const bodies = receivers.map((receiver) => {
      const read: string[] = [];
      receiver.on('message', ({ delivery, message: one }: rhea.EventContext) => {
        const { content } = one?.body as { content: Buffer };
        read.push(content.toString().replace(/[.]+$/, ''));
        // What is settled leaves rhea's buffer, and its window opens.
        delivery?.update(true);
      });
      return read;
    });
    return { narrow, receivers, bodies };
  }

  test('what one sends while messages of the other wait for the window keeps the session’s order', async () => {
    const { bodies, narrow, receivers } = await open(512);
    const [first, second] = receivers;
    if (first === undefined || second === undefined) throw new Error('no receivers');
    const failed = once(narrow.connection, 'disconnected');
    // Its flow comes with the one that opens the window, and the link that opened first sends first.
    second.once('message', () => first.add_credit(1_000));
    second.add_credit(1_000);
    const all = until(() => bodies.every(({ length }) => length === 40));
    await Promise.race([all, failed]);
    expect(bodies).toEqual([texts(40).map(String), texts(40).map(String)]);
    await narrow.close();
  });

  test('credit that is asked back while messages wait for the window is given back behind them', async () => {
    const { bodies, narrow, receivers } = await open(512);
    const [first] = receivers;
    if (first === undefined) throw new Error('no receiver');
    let atDrain = -1;
    first.once('receiver_drained', () => (atDrain = bodies[0]?.length ?? 0));
    first.add_credit(50);
    first.drain_credit();
    await until(() => atDrain >= 0);
    expect(atDrain).toBe(40);
    await narrow.close();
  });
});

test('messages that are aborted one after another do not use up credit and window', async () => {
  const sender = await client.sender(`${aHub()}/Partitions/0`);
  const session = sessionOf(sender) as unknown as {
    output(frame: { more?: boolean; aborted?: boolean }, payload?: Buffer): void;
  };
  const output = session.output.bind(session);
  session.output = (transfer, payload) => {
    if (payload === undefined || transfer.more === true) return output(transfer, payload);
    transfer.aborted = true;
    return output(transfer);
  };
  sessionOf(sender).outgoing.compute_max_payload = () => 100;
  for (let number = 0; number < 3_000; number += 1) {
    await until(() => sender.sendable());
    const delivery = sender.send(dataMessage(Buffer.alloc(150, 'n')), undefined, 0);
    // Nobody answers for it.
    Object.assign(delivery, { settled: true });
  }
  await until(() => sender.sendable());
  session.output = output;
  const outcome = await outcomeOf(sender, () =>
    sender.send(dataMessage(Buffer.from('kept')), undefined, 0),
  );
  expect(outcome).toBe('accepted');
});
