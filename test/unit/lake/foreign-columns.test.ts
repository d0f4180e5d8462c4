// Goal: what another tool says of a table's columns is kept, or the writer refuses the table and says
// what and how to mend it: rules that it cannot check are never broken in silence.
import type { Column } from '../../../shared/model/table';
import type { MemoryObjects } from '../../support/lake-memory';
import { openTestTable } from '../../support/lake-memory';
import { columnOf, contentsOf, planOf, tableFolder, written } from '../../support/lake-tables';

const log = `${tableFolder}/_delta_log`;
const version = (number: number): string => `${log}/${String(number).padStart(20, '0')}.json`;

interface Field {
  name: string;
  type: unknown;
  nullable: boolean;
  metadata: Record<string, unknown>;
}

/** A table whose first metaData another tool wrote. */
async function tableOf(fields: readonly Partial<Field>[]): Promise<MemoryObjects> {
  const objects = await written(planOf([columnOf('id', 'string')]), [['a']]);
  const whole = fields.map((field) => ({ type: 'string', nullable: true, metadata: {}, ...field }));
  const metaData = {
    id: 'foreign',
    name: 'old',
    format: { provider: 'parquet', options: {} },
    schemaString: JSON.stringify({ type: 'struct', fields: whole }),
    partitionColumns: [],
    configuration: {},
    createdTime: 1,
  };
  objects.objects.set(version(2), Buffer.from(`${JSON.stringify({ metaData })}\n`));
  return objects;
}

function flush(objects: MemoryObjects, columns: readonly Column[]): Promise<unknown> {
  const plan = planOf(columns);
  const table = openTestTable(objects, { plan, folder: tableFolder });
  return table.flush({
    task: 'other/stage/0/1',
    batches: [{ commit: 1, rows: [columns.map(() => 'v')] }],
  });
}

test.each([
  ['another case', 'Old', 'old'],
  ['another case of other letters', 'Größe', 'GRÖSSE'],
  ['the same letters, composed in another way', 'na\u00efve', 'nai\u0308ve'],
])(
  'a column that differs from one of the table only in %s is never added beside it',
  async (_, theirs, ours) => {
    const objects = await tableOf([{ name: 'id' }, { name: theirs }]);
    const before = objects.names('.json');
    await expect(
      flush(objects, [columnOf('id', 'string'), columnOf(ours, 'string')]),
    ).rejects.toMatchObject({
      code: 'STREAM_TABLE_INCOMPATIBLE',
      message: expect.stringContaining(`column ${ours} differs from the table's ${theirs}`),
    });
    expect(objects.names('.json')).toEqual(before);
  },
);

test('a column renamed to another case in its own topology is refused, too', async () => {
  const objects = await written(planOf([columnOf('id', 'string'), columnOf('Gate', 'string')]), [
    ['a', 'b'],
  ]);
  await expect(
    flush(objects, [columnOf('id', 'string'), columnOf('gate', 'string')]),
  ).rejects.toThrow(/write Gate in the schema/);
});

test.each<[string, Record<string, unknown>, RegExp]>([
  [
    'VARCHAR(3)',
    { __CHAR_VARCHAR_TYPE_STRING: 'varchar(3)' },
    /column id is VARCHAR\(3\).*TYPE STRING/,
  ],
  ['CHAR(2)', { __CHAR_VARCHAR_TYPE_STRING: 'char(2)' }, /column id is CHAR\(2\)/],
  [
    'an invariant',
    { 'delta.invariants': '{"expression":{"expression":"id > 3"}}' },
    /id has an invariant/,
  ],
  ['a generated column', { 'delta.generationExpression': 'upper(x)' }, /id is generated/],
  ['an identity column', { 'delta.identity.start': 1 }, /identity/],
  ['a default', { CURRENT_DEFAULT: "'x'" }, /default .*DROP DEFAULT/],
  [
    'a mapped column',
    { 'delta.columnMapping.physicalName': 'col-1' },
    /delta\.columnMapping\.physicalName/,
  ],
  ['a rule that is not known yet', { 'delta.rule.of2030': { x: 1 } }, /delta\.rule\.of2030/],
])('a table with %s is refused with the reason', async (_, metadata, reason) => {
  const objects = await tableOf([{ name: 'id', metadata }]);
  const before = Array.from(objects.objects.keys());
  const refused = flush(objects, [columnOf('id', 'string')]);
  await expect(refused).rejects.toMatchObject({ code: 'STREAM_TABLE_INCOMPATIBLE' });
  await expect(refused).rejects.toThrow(reason);
  expect(Array.from(objects.objects.keys())).toEqual(before);
});

test('a column that the plan lacks is no less bound by its rule', async () => {
  const metadata = { 'delta.generationExpression': 'upper(id)' };
  const objects = await tableOf([{ name: 'id' }, { name: 'shout', metadata }]);
  await expect(flush(objects, [columnOf('id', 'string')])).rejects.toThrow(/shout is generated/);
});

test('a comment is for people: the table is written, and the comment stays', async () => {
  const metadata = { comment: 'who' };
  const objects = await tableOf([{ name: 'id', metadata }]);
  await flush(objects, [columnOf('id', 'string'), columnOf('gate', 'string')]);
  const { metaData } = await contentsOf(planOf([]), objects);
  expect(JSON.parse(metaData?.schemaString ?? '')).toMatchObject({
    fields: [{ name: 'id', metadata }, { name: 'gate' }],
  });
});
