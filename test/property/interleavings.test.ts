// Goal: tables, and which events are late, are a function of each partition's log alone: however partitions are
// interleaved, batches cut, events packed into messages, and workers changed, over one exchange and over two.
// Method: real stages in memory against a plain fold over the logs.
import fc from 'fast-check';
import { Type } from 'typebox';
import {
  count,
  seconds,
  sum,
  Timestamp,
  topology,
  tumbling,
  type Topology,
} from '../../shared/dataflow';
import { StageWorld } from '../support/stage-world';

const partitions = 3;
const sizeMs = seconds(5);
const graceMs = seconds(1);
const outOfOrdernessMs = seconds(2);

const event = Type.Object({
  id: Type.Integer(),
  key: Type.String(),
  time: Timestamp(),
  value: Type.Integer(),
});
const total = Type.Object({
  key: Type.String(),
  start: Timestamp(),
  events: Type.Integer(),
  total: Type.Number(),
});

const wideMs = seconds(20);

/** Windows behind one exchange; and behind another one windows over these, and wider ones of what was late. */
const windowsBehind = (exchanges: 1 | 2): Topology =>
  topology('interleaved', (t) => {
    const windows = t
      .source('in', {
        schema: event,
        eventTime: (e) => e.time,
        outOfOrderness: outOfOrdernessMs,
      })
      .keyBy((e) => e.key, { name: 'key' })
      .window(tumbling(sizeMs), { name: 'windows', grace: graceMs, late: 'sideOutput' })
      .aggregate({ events: count(), total: sum((e) => e.value) });
    windows
      .map(({ events, key, total, windowStart }) => ({ key, start: windowStart, events, total }))
      .toLake('totals', { schema: total });
    windows.late.toLake('late', { schema: event });
    if (exchanges === 1) return;
    windows
      .keyBy(() => 'all', { name: 'all' })
      .window(tumbling(2 * sizeMs), { name: 'over' })
      .aggregate({ events: sum((w) => w.events), total: sum((w) => w.total) })
      .map(({ events, key, total, windowStart }) => ({ key, start: windowStart, events, total }))
      .toLake('over', { schema: total });
    windows.late
      .keyBy((e) => e.key, { name: 'late-key' })
      .window(tumbling(wideMs), { name: 'wide' })
      .aggregate({ events: count(), total: sum((e) => e.value) })
      .map(({ events, key, total, windowStart }) => ({ key, start: windowStart, events, total }))
      .toLake('wide', { schema: total });
  });

const topologies = { 1: windowsBehind(1), 2: windowsBehind(2) } as const;
const tables = { 1: ['totals', 'late'], 2: ['totals', 'late', 'over', 'wide'] } as const;

interface Happening {
  readonly id: number;
  readonly key: string;
  readonly time: number;
  readonly value: number;
}

/** The enqueued times of a memory hub are of that day. */
const firstMs = Date.UTC(2026, 5, 1);

/** Three logs, each nearly in order; now and then an event comes long after its time. */
const someLogs = fc
  .tuple(
    ...Array.from({ length: partitions }, () =>
      fc.array(
        fc.record({
          stepMs: fc.integer({ min: 0, max: 900 }),
          delayMs: fc.oneof(
            { weight: 9, arbitrary: fc.integer({ min: 0, max: 2_500 }) },
            { weight: 1, arbitrary: fc.integer({ min: 0, max: 20_000 }) },
          ),
          key: fc.constantFrom('a', 'b', 'c', 'd'),
          value: fc.integer({ min: -5, max: 5 }),
        }),
        { minLength: 1, maxLength: 60 },
      ),
    ),
  )
  .map((logs) => {
    let id = 0;
    return logs.map((log) => {
      let nowMs = firstMs;
      return log.map(({ delayMs, key, stepMs, value }): Happening => {
        nowMs += stepMs;
        return { id: (id += 1), key, time: nowMs - delayMs, value };
      });
    });
  });

type Totals = Map<string, [number, number]>;

function add(totals: Totals, name: string, value: number): void {
  const [events, total] = totals.get(name) ?? [0, 0];
  totals.set(name, [events + 1, total + value]);
}

function rowsOf(totals: Totals): string[] {
  return Array.from(totals, ([name, row]) =>
    JSON.stringify([...(JSON.parse(name) as unknown[]), ...row]),
  ).sort();
}

/** The fold: late by the watermark of the log that an event is in, and the windows of all the others. */
function expected(logs: readonly (readonly Happening[])[]): Record<string, string[]> {
  const [totals, over, wide]: [Totals, Totals, Totals] = [new Map(), new Map(), new Map()];
  const late: string[] = [];
  const startOf = (time: number, size: number): number => Math.floor(time / size) * size;
  for (const log of logs) {
    let watermarkMs = -Infinity;
    for (const { id, key, time, value } of log) {
      const start = startOf(time, sizeMs);
      const wideStart = startOf(time, wideMs);
      if (start + sizeMs + graceMs > watermarkMs) {
        add(totals, JSON.stringify([key, start]), value);
        add(over, JSON.stringify(['all', startOf(start, 2 * sizeMs)]), value);
      } else {
        late.push(JSON.stringify([id, key, time, value]));
        if (wideStart + wideMs > watermarkMs) add(wide, JSON.stringify([key, wideStart]), value);
      }
      watermarkMs = Math.max(watermarkMs, time - outOfOrdernessMs);
    }
  }
  return { totals: rowsOf(totals), late: late.sort(), over: rowsOf(over), wide: rowsOf(wide) };
}

/** Reads all logs through all stages, in an order, cuts and packing that the numbers decide. */
async function run(
  exchanges: 1 | 2,
  logs: readonly (readonly Happening[])[],
  choices: readonly number[],
): Promise<Record<string, string[]>> {
  let at = 0;
  const choose = (below: number): number => {
    at += 1;
    return ((choices[at % choices.length] ?? 0) + 31 * at) % below;
  };
  const world = new StageWorld({
    topologies: [topologies[exchanges]],
    ...{ partitionCount: partitions, exchangePartitionCount: 2 },
    limits: { firedResultsMax: [1, 3, 5_000][choose(3)] ?? 1 },
  });
  logs.forEach((log, partition) => {
    for (let from = 0; from < log.length;) {
      const to = from + 1 + choose(5);
      world.hub('in').append(partition, Buffer.from(JSON.stringify(log.slice(from, to))));
      from = to;
    }
  });
  const places = world.stages.flatMap((stage) =>
    Array.from({ length: stage.input.kind === 'source' ? partitions : 2 }, (_, partition) => ({
      stage,
      partition,
      read: 0,
    })),
  );
  let worker = world.worker();
  for (;;) {
    const waiting = places.filter(
      ({ partition, read, stage }) => read < world.hub(stage.input.hub).messages(partition).length,
    );
    const place = waiting[choose(Math.max(1, waiting.length))];
    if (place === undefined) break;
    if (choose(20) === 0) worker = world.worker();
    const { partition, stage } = place;
    const messages = world
      .hub(stage.input.hub)
      .messages(partition)
      .slice(place.read, place.read + 1 + choose(4));
    place.read += messages.length;
    const { functionName } = stage;
    await worker.processBatch({
      ...{ functionName, messages, deadlineMs: Infinity },
      partition: String(partition),
    });
  }
  await world.finish(world.worker());
  const rows: Record<string, string[]> = {};
  for (const table of tables[exchanges]) rows[table] = await world.rows(table);
  return rows;
}

test.each([1, 2] as const)('over %d exchange(s)', async (exchanges) => {
  await fc.assert(
    fc.asyncProperty(
      someLogs,
      fc.array(fc.nat(10_000), { minLength: 7, maxLength: 31 }),
      async (logs, choices) => {
        const rows = await run(exchanges, logs, choices);
        expect(expected(logs)).toMatchObject(rows);
      },
    ),
    { numRuns: 12 },
  );
});
