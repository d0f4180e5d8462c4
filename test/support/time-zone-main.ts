/**
 * Runs a topology over a day's edges, writes tables of every format and reads them back, then prints
 * what came of it: the same in every time zone. Started by test/unit/lake/time-zone.test.ts.
 */
import { createHash } from 'node:crypto';
import { Type } from 'typebox';
import { count, Day, hours, Timestamp, topology, tumbling } from '../../shared/dataflow';
import type { ObjectStore } from '../../shared/model/ports';
import { MemoryObjects, flightsPlan, openTestTable } from './lake-memory';
import { columnOf, planOf, rowsOf, statsOf, written } from './lake-tables';
import { StageWorld } from './stage-world';

const instants = [0, -1, Date.UTC(2026, 2, 29, 1, 30), Date.UTC(2026, 9, 25, 0, 30), 86_399_999];
const rows = instants.map((atMs, index) => [
  atMs,
  new Date(atMs).toISOString().slice(0, 10),
  index,
]);

async function digestOf(objects: ObjectStore): Promise<string> {
  const hash = createHash('sha256');
  for (const { name } of await objects.list('')) {
    hash.update(name).update((await objects.get(name)) ?? '');
  }
  return hash.digest('hex');
}

async function tables(): Promise<unknown[]> {
  const columns = [columnOf('at', 'timestamp'), columnOf('day', 'date'), columnOf('n', 'integer')];
  const results: unknown[] = [];
  for (const format of ['delta', 'ndjson'] as const) {
    for (const partitionBy of [[], ['day'], ['at']]) {
      const plan = planOf(columns, partitionBy, format);
      const objects = await written(plan, rows);
      results.push(await digestOf(objects), await rowsOf(plan, objects));
      if (partitionBy.length === 0) results.push(await statsOf(plan, objects));
    }
  }
  const objects = new MemoryObjects();
  const plan = { ...flightsPlan, format: 'ndjson' } as const;
  await openTestTable(objects, { plan, pathPattern: '{date}/{time}' }).flush({
    task: 't/s/0/1',
    batches: [{ commit: 1, rows: instants.map((atMs) => ['x', 1, 1, true, atMs, null]) }],
  });
  return [...results, objects.names('')];
}

async function stage(): Promise<unknown[]> {
  const event = Type.Object({ time: Timestamp() });
  const defined = topology('zones', (t) => {
    t.source('events', { schema: event, eventTime: (e) => e.time })
      .keyBy(() => 'all', { name: 'key', isPartitionedBySource: true })
      .window(tumbling(hours(24)), { name: 'windows' })
      .aggregate({ events: count() })
      .map(({ events, windowStart }) => ({
        ...{ events, windowStart },
        day: new Date(windowStart).toISOString().slice(0, 10),
      }))
      .toLake('days', {
        schema: Type.Object({ day: Day(), windowStart: Timestamp(), events: Type.Integer() }),
        partitionBy: ['day'],
      });
  });
  const world = new StageWorld({ topologies: [defined], partitionCount: 1 });
  for (const time of Array.from(instants).sort((one, two) => one - two)) {
    world.hub('events').append(0, Buffer.from(JSON.stringify({ time })));
  }
  await world.finish(world.worker());
  return [await world.rows('days'), await digestOf(world.lake)];
}

async function main(): Promise<void> {
  const zone = new Date(0).getTimezoneOffset();
  const result = [...(await tables()), ...(await stage())];
  process.stdout.write(JSON.stringify({ zone, result }));
}

void main();
