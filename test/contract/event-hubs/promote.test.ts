// Goal: the fault `promote` gives what a forced promotion gives: the last events of each partition are
// gone, their numbers come again with later times, the hub is the same one, connections end.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReceivedEventData } from '@azure/event-hubs';
import { runEmulator } from '../../../local/event-hubs/command';
import { receive } from '../../support/event-hubs';
import {
  describeEmulator,
  openTestNamespace,
  type TestNamespace,
} from '../../support/event-hubs-namespace';

jest.setTimeout(60_000);

const startPosition = { offset: '-1' };

const factsOf = (events: readonly ReceivedEventData[]): unknown[] =>
  events.map(({ body, sequenceNumber }) => [body as unknown, sequenceNumber]);

const send = (
  namespace: TestNamespace,
  partitionId: string,
  ...bodies: readonly string[]
): Promise<void> =>
  namespace.producer().sendBatch(
    bodies.map((body) => ({ body })),
    { partitionId },
  );

describeEmulator('a promotion that loses events', () => {
  let namespace: TestNamespace;
  let directory: string;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'promote-'));
    namespace = await openTestNamespace({ dataDirectory: directory });
  });

  afterEach(async () => {
    await namespace.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const read = (partition: string, count: number): Promise<ReceivedEventData[]> =>
    receive(namespace.consumer(), { partition, count, startPosition });

  async function promote(body: Record<string, unknown>): Promise<unknown> {
    const response = await fetch(`http://127.0.0.1:${namespace.controlPort}/faults`, {
      method: 'POST',
      body: JSON.stringify({ kind: 'promote', ...body }),
    });
    return { status: response.status, ...((await response.json()) as object) };
  }

  test('their numbers come again with later times, in a hub of the same age, also after a restart', async () => {
    // Cut in the middle of a batch, and another partition that has fewer than are lost.
    await send(namespace, '0', 'a', 'b');
    await send(namespace, '0', 'c', 'd', 'e');
    await send(namespace, '1', 'x');
    const before = await read('0', 5);
    const { createdOn } = await namespace.producer().getEventHubProperties();
    expect(await promote({ lose: 2 })).toMatchObject({
      status: 200,
      partitions: [
        { partition: '0', lost: 2 },
        { partition: '1', lost: 1 },
        { partition: '2', lost: 0 },
        { partition: '3', lost: 0 },
      ],
    });
    const bounds = await namespace.producer().getPartitionProperties('0');
    expect(bounds).toMatchObject({ lastEnqueuedSequenceNumber: 2, isEmpty: false });
    expect(await namespace.producer().getPartitionProperties('1')).toMatchObject({ isEmpty: true });
    await send(namespace, '0', 'D', 'E', 'F');
    const after = await read('0', 6);
    expect(factsOf(after)).toEqual(
      ['a', 'b', 'c', 'D', 'E', 'F'].map((body, sequence) => [body, sequence]),
    );
    const lostAtMs = before[4]?.enqueuedTimeUtc.getTime() ?? Infinity;
    expect(after[3]?.enqueuedTimeUtc.getTime()).toBeGreaterThanOrEqual(lostAtMs + 1_000);
    expect((await namespace.producer().getEventHubProperties()).createdOn).toEqual(createdOn);
    await namespace.close();
    namespace = await openTestNamespace({ dataDirectory: directory });
    expect(factsOf(await read('0', 6))).toEqual(factsOf(after));
    expect((await namespace.producer().getEventHubProperties()).createdOn).toEqual(createdOn);
  });

  test('who reads or sends loses the connection; who goes on beyond the end is refused', async () => {
    await send(namespace, '0', 'a', 'b', 'c', 'd');
    const errors: unknown[] = [];
    const subscription = namespace.consumer().subscribe(
      '0',
      {
        processEvents: async () => undefined,
        processError: async (error) => void errors.push(error),
      },
      { startPosition, maxWaitTimeInSeconds: 1 },
    );
    await read('0', 4);
    await promote({ lose: 3, hub: namespace.hub.toUpperCase(), partition: 0 });
    const late = namespace.consumer().subscribe(
      '0',
      {
        processEvents: async () => undefined,
        processError: async (error) => void errors.push(error),
      },
      { startPosition: { sequenceNumber: 3, isInclusive: true }, maxWaitTimeInSeconds: 1 },
    );
    while (!errors.some((error) => /The supplied sequence number '3'/.test(String(error)))) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await subscription.close();
    await late.close();
    await send(namespace, '0', 'B');
    expect(factsOf(await read('0', 2))).toEqual([
      ['a', 0],
      ['B', 1],
    ]);
  });

  test('from a shell: says what each partition has lost', async () => {
    await send(namespace, '3', 'a', 'b');
    const log = jest.spyOn(console, 'log').mockImplementation(() => undefined);
    await runEmulator([
      ...['promote', '--lose', '1', '--hub', namespace.hub, '--partition', '3'],
      ...['--control-port', String(namespace.controlPort)],
    ]);
    const said = log.mock.calls.flat().join('\n');
    log.mockRestore();
    expect(said).toBe(`${namespace.hub}/3: 1 event lost`);
    expect(factsOf(await read('3', 1))).toEqual([['a', 0]]);
  });

  test.each<[Record<string, unknown>, number, RegExp]>([
    [{ lose: -1 }, 400, /lose must be a whole number from 0/],
    [{ lose: '3' }, 400, /lose must be/],
    [{ lose: 1, hub: 'nobody' }, 404, /nothing was promoted/],
    [{ lose: 1, partition: 9 }, 404, /nothing was promoted/],
  ])('%p is refused and loses nothing', async (body, status, words) => {
    await send(namespace, '0', 'a');
    const answer = (await promote(body)) as { status: number; error: string };
    expect(answer.status).toBe(status);
    expect(answer.error).toMatch(words);
    expect(factsOf(await read('0', 1))).toEqual([['a', 0]]);
  });
});
