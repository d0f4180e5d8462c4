// Goal: a checkpoint stands for the whole log before it: what other tools noted is in it, what was
// taken out is not, and where it could not hold something it is not written.
import { deltaCheckpoint } from '../../../shared/lake/delta-checkpoint';
import type { Action } from '../../../shared/lake/actions';
import { readTable } from '../../../shared/lake/table-reader';
import { askDuckDb } from '../../support/lake-duckdb';
import { MemoryObjects, flightsPlan, openTestTable } from '../../support/lake-memory';
import { batchOf } from '../../support/lake-rows';

const folder = 'tables/flights';
const log = `${folder}/_delta_log`;
const task = 'flights/clean/0/1';
const version = (number: number): string => `${log}/${String(number).padStart(20, '0')}.json`;
const checkpointOf = (number: number): string =>
  `${log}/${String(number).padStart(20, '0')}.checkpoint.parquet`;

function linesOf(objects: MemoryObjects, number: number): Action[] {
  const lines = objects.text(version(number)).trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Action);
}

function setLines(objects: MemoryObjects, number: number, actions: readonly object[]): void {
  const text = actions.map((action) => `${JSON.stringify(action)}\n`).join('');
  objects.objects.set(version(number), Buffer.from(text));
}

/** Versions 0 to 2 of ours, then what another tool commits as version 3; ours goes on to 4. */
async function withForeign(
  foreign: (objects: MemoryObjects) => readonly object[],
): Promise<{ objects: MemoryObjects; events: string[] }> {
  const objects = new MemoryObjects();
  const table = openTestTable(objects);
  for (const commit of [1, 2]) await table.flush({ task, batches: [batchOf(task, commit)] });
  setLines(objects, 3, foreign(objects));
  const events: string[] = [];
  const next = openTestTable(objects, {
    checkpointEvery: 4,
    telemetry: {
      emit: (_level, event, fields) => events.push(`${event} ${String(fields['error'])}`),
    },
  });
  await next.flush({ task, batches: [batchOf(task, 3)] });
  return { objects, events };
}

async function checkpointed(objects: MemoryObjects): Promise<Action[]> {
  const bytes = objects.objects.get(checkpointOf(4));
  if (bytes === undefined) throw new Error('no checkpoint');
  return deltaCheckpoint.decode(checkpointOf(4), bytes, 'all');
}

test('a checkpoint keeps descriptions, tags and all that a remover said', async () => {
  const { objects } = await withForeign((before) => {
    const metaData = linesOf(before, 0).find((action) => action.metaData)?.metaData;
    const [first] = linesOf(before, 1).flatMap(({ add }) => (add ? [add] : []));
    return [
      { metaData: { ...metaData, description: 'all flights', configuration: { 'delta.x': 'y' } } },
      { add: { ...first, path: 'theirs.parquet', tags: { ZCUBE_ID: 'z', empty: null } } },
      {
        remove: {
          path: 'gone.parquet',
          deletionTimestamp: Date.UTC(2026, 0, 1),
          dataChange: true,
          extendedFileMetadata: true,
          partitionValues: { k: null },
          size: 12,
          stats: '{"numRecords":3}',
          tags: { INSERTION_TIME: '5' },
        },
      },
    ];
  });
  const actions = await checkpointed(objects);
  expect(actions.find(({ metaData }) => metaData)?.metaData).toMatchObject({
    description: 'all flights',
    configuration: { 'delta.x': 'y' },
  });
  expect(actions.find(({ add }) => add?.path === 'theirs.parquet')?.add).toMatchObject({
    tags: { ZCUBE_ID: 'z', empty: null },
  });
  expect(actions.find(({ remove }) => remove)?.remove).toEqual({
    path: 'gone.parquet',
    deletionTimestamp: Date.UTC(2026, 0, 1),
    dataChange: false,
    extendedFileMetadata: true,
    partitionValues: { k: null },
    size: 12,
    stats: '{"numRecords":3}',
    tags: { INSERTION_TIME: '5' },
  });
  const [[description, tag] = []] = await askDuckDb(
    objects,
    [checkpointOf(4)],
    (fileOf) => `
      SELECT max(metaData.description), max(add.tags['ZCUBE_ID'])
      FROM read_parquet('${fileOf(checkpointOf(4))}')`,
  );
  expect([description, tag]).toEqual(['all flights', 'z']);
});

test.each<[string, (path: string) => string]>([
  ['by the same path', (path) => path],
  ['by a path that is encoded in another way', (path) => path.replace('flights', '%66lights')],
])('a file taken out %s does not come back behind the checkpoint', async (_, spelt) => {
  const { objects } = await withForeign((before) => {
    const [first] = linesOf(before, 1).flatMap(({ add }) => (add ? [add] : []));
    const path = spelt(first?.path ?? '');
    return [{ remove: { path, deletionTimestamp: Date.UTC(2026, 0, 1), dataChange: true } }];
  });
  const gone = linesOf(objects, 1).flatMap(({ add }) => (add ? [add.path] : []));
  const actions = await checkpointed(objects);
  expect(actions.flatMap(({ add }) => (add ? [add.path] : []))).toHaveLength(2);
  expect(actions.flatMap(({ remove }) => (remove ? [remove] : []))).toHaveLength(1);
  for (let old = 0; old <= 4; old += 1) objects.objects.delete(version(old));
  const { files, rows } = await readTable({ objects, folder, format: 'delta' });
  expect(files.map(({ add }) => add.path)).not.toContain(gone[0]);
  expect(rows).toBe(6);
});

test('a file taken out and added again is in the checkpoint, and not among those taken out', async () => {
  const { objects } = await withForeign((before) => {
    const [first] = linesOf(before, 1).flatMap(({ add }) => (add ? [add] : []));
    return [
      { remove: { path: first?.path, deletionTimestamp: Date.UTC(2026, 0, 1), dataChange: true } },
      { add: first },
    ];
  });
  const actions = await checkpointed(objects);
  expect(actions.filter(({ add }) => add)).toHaveLength(3);
  expect(actions.filter(({ remove }) => remove)).toEqual([]);
});

test('tombstones stay for as long as readers may have the file open, a week', async () => {
  const dayMs = 24 * 60 * 60 * 1000;
  // The test's clock begins at that time.
  const nowMs = Date.UTC(2026, 0, 1);
  const { objects } = await withForeign(() =>
    [6, 8].map((days) => ({
      remove: { path: `${days}`, deletionTimestamp: nowMs - days * dayMs, dataChange: true },
    })),
  );
  const actions = await checkpointed(objects);
  expect(actions.flatMap(({ remove }) => (remove ? [remove.path] : []))).toEqual(['6']);
});

test.each(['add', 'metaData', 'remove', 'txn'] as const)(
  'no checkpoint is written where it would lose a field that another tool put into %s',
  async (kind) => {
    const { objects, events } = await withForeign((before) => {
      const metaData = linesOf(before, 0).find((action) => action.metaData)?.metaData;
      const [first] = linesOf(before, 1).flatMap(({ add }) => (add ? [add] : []));
      const actions = {
        add: { ...first, path: 'x' },
        metaData,
        remove: { path: 'y', deletionTimestamp: Date.UTC(2026, 0, 1), dataChange: true },
        txn: { appId: 'other', version: 1 },
      };
      return [{ [kind]: { ...actions[kind], invented: { of: 2030 } } }];
    });
    expect(objects.objects.has(checkpointOf(4))).toBe(false);
    expect(objects.objects.has(`${log}/_last_checkpoint`)).toBe(false);
    expect(events).toEqual([
      expect.stringMatching(`^table.checkpoint-failed .*${kind}\\.invented`),
    ]);
  },
);

test('a table of NDJSON keeps every field in its checkpoints', async () => {
  const objects = new MemoryObjects();
  const plan = { ...flightsPlan, format: 'ndjson' } as const;
  await openTestTable(objects, { plan }).flush({ task, batches: [batchOf(task, 1)] });
  const name = `${folder}/_millrace_log/${'2'.padStart(20, '0')}.json`;
  const txn = { appId: 'other', version: 1, invented: { of: 2030 } };
  objects.objects.set(name, Buffer.from(`${JSON.stringify({ txn })}\n`));
  const table = openTestTable(objects, { plan, checkpointEvery: 3 });
  await table.flush({ task, batches: [batchOf(task, 2)] });
  const checkpoint = objects.text(name.replace('2.json', '3.checkpoint.json'));
  expect(checkpoint).toContain(JSON.stringify({ txn }));
});
