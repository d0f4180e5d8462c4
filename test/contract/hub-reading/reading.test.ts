// Goal: the host's reader sees the same events as the SDK, in order, by partition, with bounded memory.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import {
  EventHubConsumerClient,
  EventHubProducerClient,
  earliestEventPosition,
  type EventData,
  type ReceivedEventData,
} from '@azure/event-hubs';
import { receive } from '../../support/event-hubs';
import { hubName, HubWorld, range } from '../../support/hub-reading';

jest.setTimeout(60_000);

let world: HubWorld;

beforeEach(async () => {
  world = await HubWorld.start();
});

afterEach(async () => {
  await world.close();
});

test('events have the fields that the SDK gives them, values and names as the .NET host shows them', async () => {
  const producer = new EventHubProducerClient(world.emulator.connectionString, hubName);
  const annotated = (body: unknown, bodyType: 'data' | 'value' | 'sequence') =>
    ({
      body,
      bodyType,
      messageAnnotations: { 'x-opt-mine': 7 },
      applicationProperties: { text: 'a', at: new Date(5) },
    }) as unknown as EventData;
  const partitionId = '2';
  await producer.sendBatch([{ body: Buffer.from('bare') }], { partitionId });
  await producer.sendBatch(
    [
      { body: Buffer.from('two'), properties: { one: 1, nested: 'x', yes: true, big: 2 ** 40 } },
      { body: Buffer.from('id'), messageId: 'id-1', correlationId: 'c-1', contentType: 'text/x' },
    ],
    { partitionId },
  );
  await producer.sendBatch([annotated({ value: [1, 'b'] }, 'value')], { partitionId });
  await producer.sendBatch([annotated([1, 2, 3], 'sequence')], { partitionId });
  await producer.sendBatch([annotated(Buffer.from('data'), 'data')], { partitionId });
  await producer.sendBatch([{ body: Buffer.alloc(900_000, 'L') }], { partitionId });
  await producer.sendBatch([{ body: 'keyed' }], { partitionKey: 'a key, ключ' });
  await producer.close();
  const count = 8;

  const reader = await world.read('fields');
  await reader.untilRead(count);
  await reader.processor.close();
  const consumer = new EventHubConsumerClient('$Default', world.emulator.connectionString, hubName);
  const bySdk: ReceivedEventData[] = [];
  for (const partition of ['0', '1', '2', '3']) {
    const mine = reader.events.filter((one) => one.partitionId === partition).length;
    if (mine === 0) continue;
    bySdk.push(
      ...(await receive(consumer, {
        partition,
        count: mine,
        startPosition: earliestEventPosition,
        subscribe: { skipParsingBodyAsJson: true },
      })),
    );
  }
  await consumer.close();

  const ours = [...reader.events].sort((a, b) => (a.partitionId < b.partitionId ? -1 : 1));
  expect(ours).toHaveLength(bySdk.length);
  expect(
    ours.map(({ event }) => ({
      ...event,
      properties: event.properties ?? {},
      systemProperties: event.systemProperties ?? {},
    })),
  ).toEqual(
    bySdk.map((event) => ({
      // .NET reads data alone.
      body: Buffer.isBuffer(event.body) ? event.body : null,
      sequenceNumber: event.sequenceNumber,
      offset: event.offset,
      enqueuedTimeUtc: event.enqueuedTimeUtc,
      partitionKey: event.partitionKey ?? null,
      properties: {
        ...event.properties,
        ...(event.properties?.['at'] === 5 && { at: '1970-01-01T00:00:00.005Z' }),
      },
      systemProperties: Object.fromEntries(
        Object.entries(event.systemProperties ?? {}).map(([name, value]) => [
          name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
          value as unknown,
        ]),
      ),
    })),
  );
});

test('batches are of one partition, in order, no larger than asked for, one at a time', async () => {
  const count = 2_000;
  await world.sendEverywhere(0, count);
  const reader = await world.read('order', {
    maxBatchSize: 70,
    onBatch: () => new Promise((resolve) => setImmediate(resolve)),
  });
  await reader.untilRead(count * world.partitionCount);
  for (let partition = 0; partition < world.partitionCount; partition += 1) {
    expect(reader.numbers(partition)).toEqual(range(0, count));
  }
  expect(Math.max(...reader.batches.map(({ size }) => size))).toBe(70);
  expect(reader.inFlightMax).toBe(1);
  expect(reader.errors).toEqual([]);
});

test('a full batch is handed over without waiting for more', async () => {
  await world.send(0, 0, 500);
  const reader = await world.read('full', { maxBatchSize: 100, prefetchCount: 500 });
  await reader.untilRead(500);
  expect(reader.batches.map(({ size }) => size)).toEqual([100, 100, 100, 100, 100]);
});

test('without a checkpoint reading begins at the start, or after a time', async () => {
  await world.send(1, 0, 10);
  const [last] = await storedTimes(1);
  if (last === undefined) throw new Error('nothing is stored');
  // Times of events are whole milliseconds: the next ones must have a later one.
  while (Date.now() <= last.getTime());
  await world.send(1, 10, 10);
  const fromStart = await world.read('start', { startPosition: 'start' });
  await fromStart.until(() => fromStart.numbers(1).length >= 20);
  expect(fromStart.numbers(1)).toEqual(range(0, 20));
  await fromStart.processor.close();
  const fromTime = await world.read('time', { startPosition: { enqueuedAfter: last } });
  await fromTime.until(() => fromTime.numbers(1).length >= 10);
  expect(fromTime.numbers(1)).toEqual(range(10, 10));
});

test('without a checkpoint reading may begin at the end', async () => {
  await world.send(1, 0, 10);
  const reader = await world.read('end', { startPosition: 'end' });
  let next = 10;
  await reader.until(() => {
    // Nothing says from outside when the link is there: events are sent until one comes.
    void world.send(1, next, 1);
    next += 1;
    return reader.numbers(1).length >= 3;
  });
  const numbers = reader.numbers(1);
  expect(numbers[0]).toBeGreaterThanOrEqual(10);
  expect(numbers).toEqual(range(numbers[0] ?? 0, numbers.length));
});

/** When the events of a partition were stored, the last first. */
async function storedTimes(partition: number): Promise<Date[]> {
  const reader = await world.read('times');
  await reader.until(() => reader.numbers(partition).length > 0);
  await reader.processor.close();
  return reader.events.map(({ event }) => event.enqueuedTimeUtc).reverse();
}

test('what a slow function has not taken stays with the hub', async () => {
  const bytesPerEvent = 10_000;
  const events = 3_000;
  const proxy = await countingProxy(world.emulator.port);
  const body = Buffer.alloc(bytesPerEvent, 'x');
  await world.sendEvents(
    0,
    Array.from({ length: events }, () => ({ body })),
  );
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const reader = await world.read('slow', {
    connectionString: world.emulator.connectionString.replace(
      `localhost:${world.emulator.port}`,
      `127.0.0.1:${proxy.port}`,
    ),
    maxBatchSize: 50,
    prefetchCount: 200,
    onBatch: () => released,
  });
  await reader.untilRead(50);
  // Time for everything to come that would.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(reader.batches).toHaveLength(1);
  const mostBytes = (200 + 50) * (bytesPerEvent + 500) + 50_000;
  expect(proxy.bytesToClient()).toBeLessThan(mostBytes);
  release();
  await reader.untilRead(events);
  expect(reader.events.map(({ event }) => event.sequenceNumber)).toEqual(range(0, events));
  await reader.processor.close();
  proxy.close();
});

/** Passes bytes on and counts those for the client. */
async function countingProxy(
  target: number,
): Promise<{ port: number; bytesToClient: () => number; close: () => void }> {
  let bytes = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const hub = connect(target, '127.0.0.1');
    for (const socket of [client, hub]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.pipe(hub);
    hub.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    hub.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    bytesToClient: () => bytes,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
