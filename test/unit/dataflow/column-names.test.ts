// Goal: a column that no reader could read is refused when the topology is defined, with the reason,
// and each fault is told once.
import { Type, type TSchema } from 'typebox';
import { StreamError } from '../../../shared/model/errors';
import { plan } from '../../../shared/planner';
import { Nullable, Timestamp, topology } from '../../../shared/dataflow';

interface LooseStream {
  toLake(name: string, options: { schema: TSchema; partitionBy?: readonly string[] }): void;
}

function columnsOf(properties: Record<string, TSchema>, partitionBy: readonly string[] = []) {
  const defined = topology('named', (t) => {
    const events = t.source('events', {
      schema: Type.Object({ time: Timestamp() }),
      eventTime: (event) => event.time,
    });
    (events as unknown as LooseStream).toLake('seen', {
      schema: Type.Object(properties),
      partitionBy,
    });
  });
  return plan([defined]).tables[0]?.columns.map(({ name, nullable, type }) => [
    name,
    type,
    nullable,
  ]);
}

const integers = (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, Type.Integer()]));

/** What is said of the table, without what is said of every topology. */
function faultsOf(properties: Record<string, TSchema>, partitionBy?: readonly string[]): string[] {
  try {
    columnsOf(properties, partitionBy);
  } catch (error) {
    if (!(error instanceof StreamError)) throw error;
    expect(error.code).toBe('STREAM_TOPOLOGY_INVALID');
    return error.message.split('table seen: ').slice(1);
  }
  return [];
}

test.each<[string, string[], RegExp]>([
  ['twins by case', ['a', 'A'], /columns a and A differ in case/],
  ['twins by case of other letters', ['Straße', 'STRASSE'], /differ in case/],
  ['twins by composition', ['na\u00efve', 'nai\u0308ve'], /differ in case or spelling/],
  ['a space', ['a b'], /" " in its name/],
  ['a comma', ['a,b'], /"," in its name/],
  ['a semicolon', ['a;b'], /";" in its name/],
  ['a brace', ['{a'], /"{" in its name/],
  ['a closing brace', ['a}'], /"}" in its name/],
  ['a bracket', ['a(b'], /"\(" in its name/],
  ['a closing bracket', ['ab)'], /"\)" in its name/],
  ['an equals sign', ['a=b'], /"=" in its name/],
  ['a tab', ['a\tb'], /control character/],
  ['a line break', ['a\nb'], /control character/],
  ['NUL', ['a\u0000'], /control character/],
  ['nothing', [''], /empty name/],
  ['half a character', ['a\ud800'], /half a character/],
  ['256 characters', ['n'.repeat(256)], /256 characters/],
])('a column named with %s is refused, and with one reason', (_, names, reason) => {
  expect(faultsOf(integers([...names, 'other']))).toEqual([expect.stringMatching(reason)]);
});

test('a column called __proto__ is refused', () => {
  const properties = Object.fromEntries([
    ['__proto__', Type.Integer()],
    ['n', Type.Integer()],
  ]);
  expect(faultsOf(properties)).toEqual([expect.stringMatching(/__proto__/)]);
});

test('all other names are taken as they are', () => {
  const names = [
    'a.b',
    'naïve',
    'select',
    'a"b',
    'a`b',
    'a/b',
    '日本',
    '2020',
    'constructor',
    '🐎',
  ];
  expect(
    columnsOf(integers(names))
      ?.map(([name]) => name)
      .sort(),
  ).toEqual(names.sort());
});

test.each<[string, Record<string, TSchema>, string[], RegExp]>([
  ['twice by one column', integers(['a', 'b']), ['a', 'a'], /partitioned by a twice/],
  ['by another case', integers(['Month', 'b']), ['month'], /no column month .*there is Month/],
  ['by none there is', integers(['a', 'b']), ['c'], /no column c to partition by/],
  ['by all of its columns', integers(['a', 'b']), ['b', 'a'], /a column must remain/],
  [
    'by a column of a type it cannot hold',
    { a: Type.Array(Type.String()), b: Type.String() },
    ['a'],
    /column a is array/,
  ],
  ['by a column of a name it cannot have', integers(['a b', 'c']), ['a b'], /" " in its name/],
])('a table partitioned %s is refused, and with one reason', (_, properties, by, reason) => {
  expect(faultsOf(properties, by)).toEqual([expect.stringMatching(reason)]);
});

test('a table whose only column is faulty has that one fault', () => {
  expect(faultsOf({ a: Type.Any() })).toHaveLength(1);
  expect(faultsOf({})).toEqual([expect.stringMatching(/no columns/)]);
});

test.each([
  ['a type of the lake that there is not', { lakeType: 'timestampp' }],
  ['the name of what every object has', { lakeType: 'constructor' }],
  ['a day that is a number', { lakeType: 'date' }],
])('%s is refused', (_, options) => {
  expect(faultsOf({ a: Type.Integer(options) })).toEqual([
    expect.stringMatching(/column a is integer as/),
  ]);
});

test('a BigInt is a column of 64-bit integers', () => {
  expect(columnsOf({ id: Type.BigInt(), parent: Nullable(Type.BigInt()) })).toEqual([
    ['id', 'integer', false],
    ['parent', 'integer', true],
  ]);
});
