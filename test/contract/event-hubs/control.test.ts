// Goal: faults are switched on over the control port and do what they say, to what they name alone.
import {
  EventHubConsumerClient,
  EventHubProducerClient,
  type ReceivedEventData,
} from '@azure/event-hubs';
import { startEventHubsEmulator } from '../../../local/event-hubs';
import { receive } from '../../support/event-hubs';
import {
  describeEmulator,
  openTestNamespace,
  type TestNamespace,
} from '../../support/event-hubs-namespace';

jest.setTimeout(60_000);

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}

describeEmulator('the control port', () => {
  let namespace: TestNamespace;

  beforeEach(async () => {
    namespace = await openTestNamespace();
  });

  afterEach(async () => {
    await namespace.close();
  });

  const call = (path: string, init?: RequestInit): Promise<Response> =>
    fetch(`http://127.0.0.1:${namespace.controlPort}${path}`, init);

  /** Reads on and gathers, trying again at once when it is cut off. */
  function reading(consumer: EventHubConsumerClient): ReceivedEventData[] {
    const events: ReceivedEventData[] = [];
    consumer.subscribe(
      '0',
      {
        processEvents: async (batch) => void events.push(...batch),
        processError: async () => undefined,
      },
      { startPosition: { offset: '-1' }, maxWaitTimeInSeconds: 1 },
    );
    return events;
  }

  const send = async (body: string): Promise<void> =>
    namespace.producer().sendBatch([{ body }], { partitionId: '0' });
  const bodies = (events: readonly ReceivedEventData[]): unknown[] =>
    events.map(({ body }) => body as unknown);

  test('GET /health answers in the form of the official emulator', async () => {
    const response = await call('/health');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: 'healthy', message: 'Service is healthy.' });
  });

  test('rewind and duplicate bring the last events again', async () => {
    for (const body of ['a', 'b', 'c']) await send(body);
    const events = reading(namespace.consumer());
    await until(() => events.length === 3);
    await namespace.fault({ kind: 'rewind', hub: namespace.hub.toUpperCase(), count: 2 });
    await until(() => events.length === 5);
    await namespace.fault({ kind: 'duplicate', partition: '0' });
    await until(() => events.length === 6);
    expect(bodies(events)).toEqual(['a', 'b', 'c', 'b', 'c', 'c']);
    expect(events.map(({ sequenceNumber }) => sequenceNumber)).toEqual([0, 1, 2, 1, 2, 2]);
  });

  test('a delayed receiver gets nothing meanwhile, not even at the next event', async () => {
    const events = reading(namespace.consumer());
    await send('before');
    await until(() => events.length === 1);
    await namespace.fault({ kind: 'delay', milliseconds: 600 });
    const startedAt = Date.now();
    await send('held');
    await send('held too');
    await until(() => events.length === 3);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(590);
    expect(bodies(events)).toEqual(['before', 'held', 'held too']);
  });

  test('a delayed acknowledgement comes late, the event at once', async () => {
    await namespace.fault({ kind: 'delay', direction: 'send', milliseconds: 600 });
    const startedAt = Date.now();
    await send('slowly');
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(590);
  });

  test('a fault for one hub or partition leaves the others alone', async () => {
    await namespace.fault({ kind: 'server-busy', hub: namespace.hub.slice(0, 3) });
    await namespace.fault({ kind: 'server-busy', hub: namespace.hub, partition: '3' });
    await send('fine');
    expect(await (await call('/faults')).json()).toMatchObject({ faults: [{}, {}] });
    await expect(
      namespace.producer().sendBatch([{ body: 'x' }], { partitionId: '3' }),
    ).rejects.toMatchObject({ code: 'ServerBusyError' });
    await call('/faults', { method: 'DELETE' });
    expect(await (await call('/faults')).json()).toEqual({ faults: [] });
  });

  test.each([{ kind: 'drop-connections' }, { kind: 'detach-links', direction: 'send' }])(
    'a producer goes on after %p',
    async (fault) => {
      const producer = namespace.producer();
      await producer.sendBatch([{ body: 'before' }], { partitionId: '0' });
      await namespace.fault(fault);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await producer.sendBatch([{ body: 'after' }], { partitionId: '0' });
      const startPosition = { offset: '-1' };
      const events = await receive(namespace.consumer(), {
        partition: '0',
        count: 2,
        startPosition,
      });
      expect(bodies(events)).toEqual(['before', 'after']);
    },
  );

  test('a recreated hub is empty, younger, and read from its start', async () => {
    await send('old');
    const before = await namespace.producer().getEventHubProperties();
    const response = await call(`/hubs/${namespace.hub}/recreate`, { method: 'POST' });
    expect(response.status).toBe(200);
    const after = await namespace.producer().getEventHubProperties();
    expect(after.createdOn.getTime()).toBeGreaterThan(before.createdOn.getTime());
    await send('new');
    const startPosition = { offset: '-1' };
    const [event] = await receive(namespace.consumer(), {
      partition: '0',
      count: 1,
      startPosition,
    });
    expect([event?.body, event?.sequenceNumber]).toEqual(['new', 0]);
  });

  test.each<[string, string, unknown, number, RegExp]>([
    ['POST', '/faults', { kind: 'nonsense' }, 400, /use one of drop-connections/],
    ['POST', '/faults', { kind: 'refuse' }, 400, /refuse takes a condition/],
    ['POST', '/faults', { kind: 'delay', milliseconds: 1e12 }, 400, /from 1 to 3600000/],
    ['POST', '/faults', [1], 400, /must be a JSON object/],
    ['POST', '/faults', { kind: 'rewind', partition: '' }, 400, /partition must be/],
    ['POST', '/faults', { kind: 'rewind', partition: true }, 400, /partition must be/],
    ['PUT', '/hubs/a%20b', {}, 400, /hub.Name: must be/],
    ['PUT', '/hubs/ok', { partitionCount: 0 }, 400, /hub.PartitionCount: must be/],
    ['POST', '/hubs/nobody/recreate', {}, 404, /no hub nobody/],
    ['DELETE', '/hubs/%zz', {}, 400, /not percent-encoded/],
  ])('%s %s %p is refused', async (method, path, body, status, words) => {
    const response = await call(path, { method, body: JSON.stringify(body) });
    expect(response.status).toBe(status);
    expect(await response.text()).toMatch(words);
  });

  test('a page of a browser may not switch anything', async () => {
    const response = await call('/faults', {
      method: 'POST',
      headers: { origin: 'https://somewhere.example' },
      body: JSON.stringify({ kind: 'drop-connections' }),
    });
    expect(response.status).toBe(403);
  });
});

test('a reader that stands where retention drops goes on with the first event that is kept', async () => {
  const emulator = await startEventHubsEmulator({
    ...{ port: 0, controlPort: 0, createOnTheFly: true, retentionIntervalMs: 20 },
    limits: { segmentBytes: 10_000, retentionBytes: 40_000 },
  });
  const producer = new EventHubProducerClient(emulator.connectionString, 'short');
  const consumer = new EventHubConsumerClient('$Default', emulator.connectionString, 'short');
  const startPosition = { offset: '-1' };
  await producer.sendBatch([{ body: 0 }], { partitionId: '0' });
  const [first] = await receive(consumer, { partition: '0', count: 1, startPosition });
  for (let body = 1; body <= 200; body += 1) {
    await producer.sendBatch([{ body: `${body}${'.'.repeat(1_000)}` }], { partitionId: '0' });
  }
  let begin = 0;
  while (begin === 0) {
    ({ beginningSequenceNumber: begin } = await producer.getPartitionProperties('0'));
  }
  const from = { offset: first?.offset ?? '' };
  const [next] = await receive(consumer, { partition: '0', count: 1, startPosition: from });
  expect(next?.sequenceNumber).toBeGreaterThanOrEqual(begin);
  expect(next?.sequenceNumber).toBeLessThanOrEqual(201);
  await consumer.close();
  await producer.close();
  await emulator.close();
});
