// Goal: a backfill from a table reads every column of it, whatever its format and its folders are.
// Once columns in folder names were left out and days became numbers: every event was invalid.
import { Type } from 'typebox';
import { readFileRows } from '../../../shared/lake/read-file';
import { readTable } from '../../../shared/lake/table-reader';
import type { TablePlan } from '../../../shared/model/table';
import type { BackfillOptions } from '../../../shared/operations/jobs/kinds/backfill';
import { Day, Nullable, Timestamp, topology } from '../../../shared/dataflow';
import { aJobWorker, createJob, reportOf, work } from '../../support/job-world';
import { StageWorld } from '../../support/stage-world';

const trip = Type.Object({
  id: Type.Integer(),
  time: Timestamp(),
  day: Day(),
  city: Nullable(Type.String()),
  price: Type.Number(),
  isPaid: Type.Boolean(),
});

const trips = (
  partitionBy: 'day'[] | ('city' | 'isPaid' | 'price')[],
  format: TablePlan['format'],
) =>
  topology('trips', (t) => {
    const source = t.source('trips', { schema: trip, eventTime: (event) => event.time });
    source.toLake('trips_kept', { schema: trip, partitionBy, format });
  });

const events = Array.from({ length: 60 }, (_, id) => ({
  ...{ id, time: Date.UTC(2026, 0, 1 + (id % 3)), day: `2026-01-0${1 + (id % 3)}` },
  ...{ city: id % 5 === 0 ? null : `city=${id % 4}/%`, price: id / 4, isPaid: id % 2 === 0 },
}));

async function rowsAt(world: StageWorld, folder: string, plan: TablePlan): Promise<string[]> {
  const { files } = await readTable({ objects: world.lake, folder, format: plan.format });
  const rows: string[] = [];
  for (const { name, partitionValues } of files) {
    const bytes = (await world.lake.get(name)) ?? new Uint8Array();
    for (const row of await readFileRows(plan, { bytes, partitionValues })) {
      rows.push(JSON.stringify(row));
    }
  }
  return rows.sort();
}

it.each([
  ['without folders', trips([], 'delta')],
  ['in folders of days', trips(['day'], 'delta')],
  ['in folders of texts, numbers and flags', trips(['city', 'price', 'isPaid'], 'delta')],
  ['of NDJSON', trips([], 'ndjson')],
  ['of NDJSON in gzip, in folders', trips(['day'], 'ndjson-gzip')],
] as const)('reads a table %s', async (_name, defined) => {
  const world = new StageWorld({ topologies: [defined], partitionCount: 1 });
  world.hub('trips').append(0, ...events.map((event) => Buffer.from(JSON.stringify(event))));
  await world.finish(world.worker());
  const [plan] = world.stages.flatMap(({ tables }) => tables);
  if (plan === undefined) throw new Error('no table');
  const id = await createJob(world, 'backfill', {
    ...{ topology: 'trips', source: null, outcome: 'beside', partitions: 1 },
    from: { kind: 'table', table: 'trips_kept' },
  });
  await work(aJobWorker(world, { topologies: [defined] }), id);
  expect(await reportOf(world, id)).toMatchObject({
    ledgers: { 'trips-trips': { read: events.length, emitted: events.length } },
  });
  const kept = await rowsAt(world, 'tables/trips_kept', plan);
  expect(kept).toHaveLength(events.length);
  expect(await rowsAt(world, `backfills/${id}/tables/trips_kept`, plan)).toEqual(kept);
});

it('reads days of Parquet files that are no table, and keeps events that are wrong as letters', async () => {
  const defined = trips([], 'delta');
  const world = new StageWorld({ topologies: [defined], partitionCount: 1 });
  world.hub('trips').append(0, ...events.map((event) => Buffer.from(JSON.stringify(event))));
  await world.finish(world.worker());
  for (const { name } of await world.lake.list('tables/trips_kept/')) {
    const bytes = (await world.lake.get(name)) ?? new Uint8Array();
    if (name.endsWith('.parquet')) await world.lake.put(`files/${name.split('/').at(-1)}`, bytes);
  }
  await world.lake.put('files/wrong.ndjson', Buffer.from('{"id":"none"}\nno JSON\n'));
  const id = await createJob(world, 'backfill', {
    ...{ topology: 'trips', source: null, outcome: 'beside', partitions: 2 },
    from: { kind: 'files', prefix: 'files/' },
  });
  await work(aJobWorker(world, { topologies: [defined] }), id);
  expect(await reportOf(world, id)).toMatchObject({
    isRight: true,
    ledgers: { 'trips-trips': { read: 62, emitted: 60, deadLettered: 2 } },
  });
});

it('gives each piece its own files alone: a plan grows with the files, not with their square', async () => {
  const defined = trips([], 'delta');
  const world = new StageWorld({ topologies: [defined], partitionCount: 1 });
  for (let file = 0; file < 12; file += 1) {
    await world.lake.put(`files/${file}.ndjson`, Buffer.from(JSON.stringify(events[file])));
  }
  const kind = aJobWorker(world, { topologies: [defined] }).kinds.find(
    ({ name }) => name === 'backfill',
  );
  const options: BackfillOptions = {
    ...{ topology: 'trips', source: null, outcome: 'beside', partitions: 4 },
    from: { kind: 'files', prefix: 'files/' },
  };
  const plan = await kind?.plan(options, { jobId: 'job', folder: 'jobs/job/' });
  expect(JSON.stringify(plan).match(/\.ndjson/g)).toHaveLength(12);
});
