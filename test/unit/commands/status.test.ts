// Goal: the status line fits a terminal and shows first what an operator must know; what hangs or has
// halted is named with its place and cause.
import { statusLine, statusSegments, type StackStatus } from '../../../cli/status-line';
import { readTroubles, stuckFunctions } from '../../../cli/troubles';
import { MemoryAppendStore, MemoryObjectStore } from '../../../shared/adapters/memory-stores';

const fine: StackStatus = {
  ...{ isBalanced: true, deadLettered: 0, late: 0, troubles: [] },
  ...{ read: 2_999_999, readPerSecond: 36_320.4, lag: 123_456, workers: 64 },
};
const room = { columns: 79, isColoured: false };

describe('the status line', () => {
  it('has everything within 80 columns, however large the counts', () => {
    expect(statusLine(fine, room)).toBe(
      'ledger balanced  dead 0  late 0  read 3.00M, 36.3k/s  lag 123k  workers 64',
    );
    const huge = { ...fine, deadLettered: 123_456_789, late: 999_499, read: 987_654_321 };
    expect(statusLine(huge, room)).toBe(
      'ledger balanced  dead 123M  late 999k  read 988M, 36.3k/s  lag 123k  workers 64',
    );
  });

  it('shows an alarm in red, and before all that goes on', () => {
    const troubles = ['HALTED by-origin/1 STREAM_STATE_MISMATCH', 'SINK OPEN airport_days'];
    const status = { ...fine, isBalanced: false, deadLettered: 3, troubles };
    expect(statusSegments(status, 79).filter(({ isAlarm }) => isAlarm)).toEqual([
      { isAlarm: true, text: 'LEDGER NOT BALANCED' },
      { isAlarm: true, text: 'HALTED by-origin/1 STREAM_STATE_MISMATCH (+1)' },
      { isAlarm: true, text: 'dead 3' },
    ]);
    expect(statusLine(status, { columns: 79, isColoured: true })).toContain(
      '\u001b[31mdead 3\u001b[39m',
    );
  });

  it.each([79, 60, 40, 20, 5, 1])('never passes %d columns', (columns) => {
    const status = { ...fine, isBalanced: false, troubles: ['HALTED '.repeat(20)] };
    for (const one of [fine, status]) {
      expect(statusLine(one, { columns, isColoured: false }).length).toBeLessThanOrEqual(columns);
    }
  });
});

describe('a function that hangs', () => {
  const details =
    'PartitionId: 3, OffsetString: 0-9, EnqueueTimeUtc: a-b, SequenceNumber: 17-17, Count: 1, Offset: 0-9, PartionId: 3';
  const host = (startedAtMs: number, text: string | null = details) => ({
    functionTimeoutMs: 30_000,
    running: [{ functionName: 'flights', startedAtMs, details: text }],
  });

  it('is named with partition and sequence number, and what comes next', () => {
    const [stuck] = stuckFunctions(host(0), 10_000);
    expect(stuck?.short).toBe('STUCK flights on partition 3, sequence number 17');
    expect(stuck?.text).toContain('After 30 s its worker is restarted');
  });

  it('is not one that began a moment ago, nor one without a batch of a hub', () => {
    expect(stuckFunctions(host(1), 10_000)).toEqual([]);
    expect(stuckFunctions(host(0, null), 60_000)).toEqual([]);
  });
});

it('an open sink and a halted task are troubles, a stage that is no more is none', async () => {
  const [appends, commits] = [new MemoryAppendStore(), new MemoryObjectStore()];
  const opened = { kind: 'opened', atMs: 0, worker: 'w', untilMs: 1, error: 'the lake is away' };
  await appends.create('breakers/airport_days');
  await appends.append({
    name: 'breakers/airport_days',
    block: Buffer.from(`${JSON.stringify(opened)}\n`),
    expectedPosition: 0,
  });
  for (const functionName of ['flights', 'former']) {
    const mark = { format: 1, functionName, partition: '0', code: 'STREAM_LOG_CORRUPT', atMs: 1 };
    const bytes = Buffer.from(JSON.stringify({ ...mark, message: 'STREAM_LOG_CORRUPT: cut' }));
    await commits.put(`control/_halted/${functionName}/0.json`, bytes);
  }
  const store = { appends, commits } as unknown as Parameters<typeof readTroubles>[0];
  expect(await readTroubles(store, new Set(['flights']))).toEqual([
    {
      short: 'HALTED flights/0 STREAM_LOG_CORRUPT',
      text: 'HALTED flights/0: STREAM_LOG_CORRUPT: cut',
    },
    {
      short: 'SINK OPEN airport_days',
      text: 'SINK OPEN airport_days since 1970-01-01T00:00:00.000Z: the lake is away',
    },
  ]);
});
