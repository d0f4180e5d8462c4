// Goal: what a function gives to a table comes out of the table, whatever lies between: the log of the
// task, the flush, the file. What cannot come out is a dead letter that says why.
import { Type, type TSchema } from 'typebox';
import { listLogs, readLog } from '../../../shared/commit-log/log-reader';
import { readFileRows } from '../../../shared/lake/read-file';
import { readTable } from '../../../shared/lake/table-reader';
import type { Row } from '../../../shared/model/table';
import { count, Day, Nullable, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { StageWorld } from '../../support/stage-world';

interface Outcome {
  readonly rows: readonly Row[];
  readonly letters: readonly string[];
}

async function outcomeOf(world: StageWorld, table: string): Promise<Outcome> {
  await world.finish(world.worker());
  const letters: string[] = [];
  for (const path of await listLogs(world.appends, 'exact')) {
    for (const record of (await readLog(world.appends, path, null)).records) {
      if (record.kind === 'commit')
        letters.push(...record.deadLetters.map(({ message }) => message));
    }
  }
  const plan = world.stages.flatMap(({ tables }) => tables).find(({ name }) => name === table);
  if (plan === undefined) throw new Error(`no table ${table}`);
  const read = { objects: world.lake, folder: `tables/${table}`, format: plan.format };
  const rows: Row[] = [];
  for (const { name, partitionValues } of (await readTable(read)).files) {
    const bytes = (await world.lake.get(name)) ?? new Uint8Array();
    rows.push(...(await readFileRows(plan, { bytes, partitionValues })));
  }
  return { rows, letters };
}

/** One event a value, each made into the cell `x` of a row. */
async function cellsOf(options: {
  readonly type: TSchema;
  readonly values: readonly unknown[];
  readonly make?: (text: unknown) => unknown;
  readonly isPartitioned?: boolean;
}): Promise<Outcome> {
  const { isPartitioned = false, make = (value) => value, type, values } = options;
  const event = Type.Object({ time: Timestamp(), n: Type.Integer(), x: Type.Any() });
  const schema = Type.Object({ x: type, n: Type.Integer() });
  const defined = topology('exact', (t) => {
    t.source('events', { schema: event, eventTime: (e) => e.time })
      .map((e) => ({ x: make(e.x), n: e.n }) as never)
      .toLake('cells', { schema, partitionBy: isPartitioned ? ['x'] : [] });
  });
  const world = new StageWorld({ topologies: [defined], partitionCount: 1 });
  values.forEach((x, n) =>
    world.hub('events').append(0, Buffer.from(JSON.stringify({ time: 1, n, x }))),
  );
  const { letters, rows } = await outcomeOf(world, 'cells');
  return {
    rows: rows.map(([x = null]) => [x]).sort((one, two) => (String(one) < String(two) ? -1 : 1)),
    letters,
  };
}

test.each([false, true])(
  'a BigInt made by a function is in the table as it is (partitioned: %s)',
  async (isPartitioned) => {
    const values = ['1524831183200260097', '1524831183200260096', '9223372036854775807', '12'];
    const outcome = await cellsOf({
      ...{ type: Type.BigInt(), values, isPartitioned },
      make: (text) => BigInt(text as string),
    });
    expect(outcome).toEqual({
      rows: [[12], ['1524831183200260096'], ['1524831183200260097'], ['9223372036854775807']],
      letters: [],
    });
  },
);

test('an integer that was rounded, or that is a text, is a dead letter that says what to do', async () => {
  const { letters, rows } = await cellsOf({
    type: Type.Integer(),
    values: ['9007199254740993', '1e3', '1.5', '7'],
    make: (text) => (text === '7' ? text : Number(text)),
  });
  expect(rows).toEqual([[1000]]);
  expect(letters).toEqual([
    expect.stringMatching(/column x is integer .*must be a BigInt.*has 9007199254740992/),
    expect.stringMatching(/has 1\.5/),
    expect.stringMatching(/has "7"/),
  ]);
});

test('a BigInt beyond 64 bits, or in another column, is a dead letter', async () => {
  const make = (text: unknown): unknown => BigInt(text as string);
  const far = await cellsOf({ type: Type.BigInt(), values: [`${2n ** 63n}`], make });
  expect(far.letters).toEqual([expect.stringMatching(/has 9223372036854775808n/)]);
  const double = await cellsOf({ type: Type.Number(), values: ['1'], make });
  expect(double.letters).toEqual([expect.stringMatching(/a finite number.*has 1n/)]);
});

test.each<[string, () => unknown, RegExp]>([
  ['an object with a BigInt', () => ({ id: 1n }), /the row has \{"id":"1n"\}/],
  [
    'a circle',
    () => {
      const circle: Record<string, unknown> = {};
      circle['self'] = circle;
      return circle;
    },
    /the row has \[object Object\]/,
  ],
  ['a function', () => () => 1, /the row has \(\) ?=> ?1/],
])('%s in a column of texts is a dead letter that shows it', async (_, make, message) => {
  const { letters, rows } = await cellsOf({ type: Type.String(), values: [1], make });
  expect(rows).toEqual([]);
  expect(letters).toEqual([expect.stringMatching(message)]);
});

test('a key that is no text is a dead letter that shows it', async () => {
  const defined = topology('exact', (t) => {
    t.source('events', { schema: Type.Object({ time: Timestamp() }), eventTime: (e) => e.time })
      .keyBy((e) => BigInt(e.time) as never, { name: 'key', isPartitionedBySource: true })
      .window(tumbling(1_000), { name: 'windows' })
      .aggregate({ events: count() })
      .map(({ events }) => ({ events }))
      .toLake('keys', { schema: Type.Object({ events: Type.Integer() }) });
  });
  const world = new StageWorld({ topologies: [defined], partitionCount: 1 });
  world.hub('events').append(0, Buffer.from('{"time":1}'));
  expect((await outcomeOf(world, 'keys')).letters).toEqual([
    expect.stringMatching(/a key must be a text, .* or a tuple of these; this one is 1n/),
  ]);
});

test('-0 keeps its sign on its way through the log', async () => {
  const { rows } = await cellsOf({
    type: Type.Number(),
    values: [1, -1],
    make: (x) => Number(x) * 0,
  });
  expect(
    rows
      .flat()
      .map((cell) => Object.is(cell, -0))
      .sort(),
  ).toEqual([false, true]);
});

test.each([false, true])(
  'half a character is U+FFFD in the table (partitioned: %s)',
  async (isPartitioned) => {
    const values = ['a\ud83d', 'a\udc00', 'b'];
    const { letters, rows } = await cellsOf({ type: Type.String(), values, isPartitioned });
    expect({ letters, rows }).toEqual({ letters: [], rows: [['a\ufffd'], ['a\ufffd'], ['b']] });
  },
);

test('two keys that their UTF-8 cannot tell apart are one key, with and without an exchange', async () => {
  const event = Type.Object({ time: Timestamp(), id: Type.String() });
  for (const isPartitionedBySource of [true, false]) {
    const defined = topology('exact', (t) => {
      t.source('events', { schema: event, eventTime: (e) => e.time })
        .keyBy((e) => e.id, { name: 'key', isPartitionedBySource })
        .window(tumbling(1_000), { name: 'windows' })
        .aggregate({ events: count() })
        .map(({ events, key }) => ({ events, key }))
        .toLake('keys', { schema: Type.Object({ key: Type.String(), events: Type.Integer() }) });
    });
    const world = new StageWorld({ topologies: [defined], partitionCount: 1 });
    for (const id of ['k\ud83d', 'k\udc00']) {
      world.hub('events').append(0, Buffer.from(JSON.stringify({ time: 1, id })));
    }
    expect(await outcomeOf(world, 'keys')).toEqual({ rows: [['k\ufffd', 2]], letters: [] });
  }
});

test('a day of the year 0 is a dead letter', async () => {
  const values = ['0000-06-01', '0001-01-01'];
  for (const isPartitioned of [false, true]) {
    const { letters, rows } = await cellsOf({ type: Day(), values, isPartitioned });
    expect(rows).toEqual([['0001-01-01']]);
    expect(letters).toEqual([
      expect.stringMatching(/column x is date .*years 1 to 9999.*0000-06-01/),
    ]);
  }
});

test('what a folder cannot say is a dead letter, not a table that stops', async () => {
  const empty = await cellsOf({ type: Type.String(), values: ['', 'x'], isPartitioned: true });
  expect(empty).toEqual({
    rows: [['x']],
    letters: [expect.stringMatching(/at least one character/)],
  });
  const times = [253_402_300_800_000, 1];
  const late = await cellsOf({ type: Timestamp(), values: times, isPartitioned: true });
  expect(late).toEqual({ rows: [[1]], letters: [expect.stringMatching(/years 1 to 9999/)] });
});

test('null, an empty text and the folder of nulls reach a partitioned table, each as Delta has it', async () => {
  const values = [null, '', '__HIVE_DEFAULT_PARTITION__', 'x'];
  const outcome = await cellsOf({ type: Nullable(Type.String()), values, isPartitioned: true });
  expect(outcome).toEqual({
    rows: [['__HIVE_DEFAULT_PARTITION__'], [null], [null], ['x']].sort((one, two) =>
      String(one) < String(two) ? -1 : 1,
    ),
    letters: [],
  });
});
