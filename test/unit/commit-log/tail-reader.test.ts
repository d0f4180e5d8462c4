// Goal: a survey reads one record of a log, from its end, and knows what all of it has come to.
import { MemoryAppendStore } from '../../../shared/adapters/memory-stores';
import { generationName } from '../../../shared/commit-log/names';
import { encodeRecord } from '../../../shared/commit-log/record';
import { readTail } from '../../../shared/commit-log/tail-reader';
import type { CommitRecord, LogRecord } from '../../../shared/model/commit';
import { emptyDigest } from '../../../shared/supervision/survey/task-digest';
import { surveyLog } from '../../../shared/supervision/survey/log-survey';
import { commitNumber, sampleRecords } from '../../support/log-records';
import { delegating, logPath } from '../../support/log-world';

const { attempt, plan, seal } = sampleRecords as Record<'attempt' | 'plan' | 'seal', LogRecord>;
const header = sampleRecords['header-empty'] as LogRecord;

interface Read {
  readonly store: MemoryAppendStore;
  readonly bytesRead: number[];
  readonly appends: ReturnType<typeof delegating>;
}

async function logOf(records: readonly LogRecord[], generation = 0): Promise<Read> {
  const store = new MemoryAppendStore({ nowMs: () => 0 });
  const read: number[] = [];
  const appends = {
    ...delegating(store),
    readFrom: async (name: string, position: number) => {
      const bytes = await store.readFrom(name, position);
      read.push(bytes?.byteLength ?? 0);
      return bytes;
    },
  };
  await append(store, records, generation);
  return { store, appends, bytesRead: read };
}

async function append(
  store: MemoryAppendStore,
  records: readonly LogRecord[],
  generation = 0,
): Promise<void> {
  const name = generationName(logPath, generation);
  await store.create(name);
  for (const record of records) {
    const expectedPosition = (await store.stat(name))?.bytes ?? 0;
    await store.append({ name, block: encodeRecord(record), expectedPosition });
  }
}

function large(commit: number, bytes: number): CommitRecord {
  return { ...commitNumber(commit), rows: [{ table: 't', count: 1, lines: Buffer.alloc(bytes) }] };
}

const survey = (
  appends: Read['appends'],
  known = emptyDigest,
  generations = [0],
): ReturnType<typeof surveyLog> => surveyLog({ appends }, logPath, { digest: known, generations });

it('gives the last commit and what came after it', async () => {
  const { appends } = await logOf([header, commitNumber(1), commitNumber(2), attempt, plan, seal]);
  const tail = await readTail(appends, { path: logPath, generation: 0, bytesKnown: 0 });
  expect(tail?.last).toMatchObject({ kind: 'commit', commit: 2 });
  expect(tail?.since.map(({ kind }) => kind)).toEqual(['attempt', 'plan', 'seal']);
});

it('gives the header where there is no commit, and nothing of an empty blob or none', async () => {
  const at = { path: logPath, bytesKnown: 0 };
  const { appends, store } = await logOf([header, attempt]);
  const tail = await readTail(appends, { ...at, generation: 0 });
  expect(tail).toMatchObject({ last: { kind: 'header' }, since: [{ kind: 'attempt' }] });
  await store.create(generationName(logPath, 1));
  expect(await readTail(appends, { ...at, generation: 1 })).toBeNull();
  expect(await readTail(appends, { ...at, generation: 2 })).toBeNull();
});

it('reads one record of a large log, though it is larger than what is read at first', async () => {
  for (const size of [100, 64 * 1024 - 300, 64 * 1024, 200_000]) {
    const commits = [1, 2, 3, 4, 5].map((commit) => large(commit, size));
    const { appends, bytesRead, store } = await logOf([header, ...commits, attempt]);
    const bytesKnown = (await store.stat(generationName(logPath, 0)))?.bytes ?? 0;
    const tail = await readTail(appends, { path: logPath, generation: 0, bytesKnown });
    expect(tail?.last).toMatchObject({ commit: 5 });
    expect(tail?.position).toBe(bytesKnown);
    expect(Math.max(...bytesRead)).toBeLessThan(2 * size + 70_000);
  }
});

it('finds the end also where the log grew after its length was asked for', async () => {
  const { appends, store } = await logOf([header, commitNumber(1)]);
  const bytesKnown = (await store.stat(generationName(logPath, 0)))?.bytes ?? 0;
  await append(store, [large(2, 150_000), attempt]);
  const tail = await readTail(appends, { path: logPath, generation: 0, bytesKnown });
  expect(tail?.last).toMatchObject({ commit: 2 });
});

it.each([
  ['a length that is no record’s', Buffer.from('0000000000000001', 'hex')],
  ['a length of nothing', Buffer.alloc(8)],
  ['a length beyond the blob', Buffer.from('00000000ffffffff', 'hex')],
  ['too few bytes', Buffer.from('00', 'hex')],
])('refuses an end with %s', async (_what, garbage) => {
  for (const records of [[], [header], [header, large(1, 200_000)]]) {
    const { appends, store } = await logOf(records);
    const name = generationName(logPath, 0);
    const bytes = (await store.stat(name))?.bytes ?? 0;
    await store.append({ name, block: garbage, expectedPosition: bytes });
    const bytesKnown = bytes + garbage.length;
    await expect(
      readTail(appends, { path: logPath, generation: 0, bytesKnown }),
    ).rejects.toMatchObject({ code: 'STREAM_LOG_CORRUPT' });
  }
});

it('surveys a log that nobody has written to without reading it', async () => {
  const { appends, bytesRead, store } = await logOf([header, commitNumber(1)]);
  const first = await survey(appends);
  expect(first).toMatchObject({ commit: 1, ledger: { read: 1 }, isSealed: false });
  expect(await survey(appends, first)).toBe(first);
  expect(bytesRead).toHaveLength(1);
  await append(store, [commitNumber(2), attempt]);
  const second = await survey(appends, first);
  expect(second).toMatchObject({ commit: 2, openAttempt: { attempt: 3 } });
  await append(store, [commitNumber(3)]);
  expect(await survey(appends, second)).toMatchObject({ commit: 3, openAttempt: null });
});

it('surveys a log in the middle of a roll, and one that has just begun a generation', async () => {
  const { appends, store } = await logOf([header, commitNumber(1), { ...seal }]);
  await store.create(generationName(logPath, 1));
  expect(await survey(appends, emptyDigest, [0, 1])).toMatchObject({ commit: 1, isSealed: true });
  const next = { ...(sampleRecords['header'] as LogRecord), generation: 1 } as LogRecord;
  await append(store, [next], 1);
  expect(await survey(appends, emptyDigest, [0, 1])).toMatchObject({
    ...{ commit: 41, isSealed: false, generation: 1, blocks: 1, firstWriteMs: null },
  });
});
