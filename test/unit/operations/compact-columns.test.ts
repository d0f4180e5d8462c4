// Goal: compaction keeps what a table has, also the columns that this build no longer knows.
import { Type } from 'typebox';
import { readFileRows } from '../../../shared/lake/read-file';
import { readTable } from '../../../shared/lake/table-reader';
import { Timestamp, topology } from '../../../shared/dataflow';
import { aJobWorker, createJob, reportOf, work } from '../../support/job-world';
import { StageWorld } from '../../support/stage-world';

const event = Type.Object({ id: Type.Integer(), time: Timestamp(), note: Type.String() });
const older = Type.Object({ id: Type.Integer(), note: Type.Optional(Type.String()) });
const newer = Type.Object({ id: Type.Integer() });

const kept = (schema: typeof older | typeof newer) =>
  topology('kept', (t) => {
    t.source('events', { schema: event, eventTime: (e) => e.time })
      .map(({ id, note }) => ({ id, note }))
      .toLake('notes', { schema });
  });

it('compaction keeps a column that was taken out of the topology', async () => {
  const before = kept(older);
  const world = new StageWorld({ topologies: [before], partitionCount: 1, flushRowsMax: 1 });
  for (let id = 0; id < 6; id += 1) {
    const body = JSON.stringify({ id, time: id, note: `note ${id}` });
    world.hub('events').append(0, Buffer.from(body));
  }
  await world.deliver(world.worker(), { stage: 'events', partition: 0, batchSize: 1 });
  const [plan] = world.stages.flatMap(({ tables }) => tables);
  if (plan === undefined) throw new Error('no table');

  const after = kept(newer);
  const later = new StageWorld({ topologies: [after], partitionCount: 1 });
  for (const { name } of await world.lake.list('')) {
    await later.lake.put(name, (await world.lake.get(name)) ?? new Uint8Array());
  }
  const id = await createJob(later, 'compact', { table: 'notes', targetBytes: 2 ** 20 });
  await work(aJobWorker(later, { topologies: [after] }), id);
  expect(await reportOf(later, id)).toMatchObject({ filesRewritten: 6, filesWritten: 1, rows: 6 });

  const table = { objects: later.lake, folder: 'tables/notes', format: 'delta' } as const;
  const [file] = (await readTable(table)).files;
  const bytes = (await later.lake.get(file?.name ?? '')) ?? new Uint8Array();
  const rows = await readFileRows(plan, { bytes, partitionValues: {} });
  expect(rows).toEqual(Array.from({ length: 6 }, (_, row) => [row, `note ${row}`]));
});
