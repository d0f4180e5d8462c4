import { foldedColumnName } from '../model/column-names';
import { StreamError } from '../model/errors';
import type { Column, ColumnType, TablePlan } from '../model/table';
import type { MetaDataAction, ProtocolAction } from './actions';
import { writerObstacles } from './protocol';

interface SchemaField {
  readonly name: string;
  /** A name of a primitive type, or an object for nested ones (which we never write). */
  readonly type: unknown;
  readonly nullable: boolean;
  readonly metadata: Readonly<Record<string, unknown>>;
}

const deltaTypes: Readonly<Record<ColumnType, string>> = {
  string: 'string',
  integer: 'long',
  double: 'double',
  boolean: 'boolean',
  timestamp: 'timestamp',
  date: 'date',
};

function toField(column: Column): SchemaField {
  const { name, type, nullable } = column;
  return { name, type: deltaTypes[type], nullable, metadata: {} };
}

export function schemaString(columns: readonly Column[]): string {
  return encodeFields(columns.map(toField));
}

/** Types of Delta that we never write, and what reads their partition values exactly. */
const readTypes: readonly (readonly [ColumnType, string])[] = [
  ['integer', 'integer'],
  ['integer', 'short'],
  ['integer', 'byte'],
  ['double', 'float'],
];

/** A table's columns as its log has them; one of a type that is none of ours is taken for text. */
export function columnsOfTable({ schemaString: text }: MetaDataAction): Column[] {
  const types = [...(Object.entries(deltaTypes) as [ColumnType, string][]), ...readTypes];
  return parseFields(text).map(({ name, nullable, type }) => ({
    ...{ name, nullable },
    type: types.find(([, written]) => written === type)?.[0] ?? 'string',
  }));
}

/** Rejects a table that has columns of types that this writer does not write. */
export function assertWritable({ schemaString: text }: MetaDataAction, table: string): void {
  const written = Object.values(deltaTypes);
  const foreign = parseFields(text).filter(({ type }) => !written.includes(type as string));
  if (foreign.length === 0) return;
  const names = foreign.map(({ name, type }) => `${name} (${JSON.stringify(type)})`).join(', ');
  throw new StreamError(
    'STREAM_TABLE_INCOMPATIBLE',
    `table ${table} has columns that this writer cannot write: ${names}; use the tool that added them`,
    { details: { table } },
  );
}

function encodeFields(fields: readonly SchemaField[]): string {
  return JSON.stringify({ type: 'struct', fields });
}

/**
 * How an existing table stands to the plan: it can be written as it is, or after these nullable
 * columns were added to its schema (the new schemaString). Rejects anything else with
 * STREAM_TABLE_INCOMPATIBLE.
 *
 * A nullable column that the table has and the plan lacks is fine: an older build goes on writing
 * beside a newer one, and readers see nulls.
 */
export function compareSchema(options: {
  readonly plan: TablePlan;
  readonly folder: string;
  readonly provider: string;
  readonly metaData: MetaDataAction;
  readonly protocol: ProtocolAction;
}): { readonly evolvedSchema: string | undefined } {
  const { plan, folder, provider, metaData, protocol } = options;
  const fields = parseFields(metaData.schemaString);
  const differences = [
    ...writerObstacles(protocol, metaData),
    ...layoutDifferences(plan, provider, metaData),
    ...fieldDifferences(plan, fields),
  ];
  if (differences.length > 0) throw incompatible(plan, folder, differences);
  const known = new Set(fields.map(({ name }) => name));
  const added = plan.columns.filter(({ name }) => !known.has(name)).map(toField);
  return { evolvedSchema: added.length === 0 ? undefined : encodeFields([...fields, ...added]) };
}

function layoutDifferences(plan: TablePlan, provider: string, metaData: MetaDataAction): string[] {
  const differences: string[] = [];
  if (metaData.format.provider !== provider) {
    differences.push(`its files are ${metaData.format.provider}, the plan's ${provider}`);
  }
  if (JSON.stringify(metaData.partitionColumns) !== JSON.stringify(plan.partitionBy)) {
    const [table, planned] = [metaData.partitionColumns, plan.partitionBy].map(listNames);
    differences.push(`it is partitioned by ${table}, the plan by ${planned}`);
  }
  return differences;
}

function listNames(names: readonly string[] | undefined): string {
  return names === undefined || names.length === 0 ? 'nothing' : names.join(', ');
}

function fieldDifferences(plan: TablePlan, fields: readonly SchemaField[]): string[] {
  const planned = new Map(plan.columns.map((column) => [column.name, column]));
  return [
    ...fields.flatMap((field) => Array.from(differencesOf(field, planned.get(field.name)))),
    ...Array.from(newColumnDifferences(plan, fields)),
  ];
}

/** @param column of that name in the plan */
function* differencesOf(
  { metadata, name, nullable, type }: SchemaField,
  column: Column | undefined,
): Generator<string> {
  for (const key of Object.keys(metadata)) {
    if (!harmlessMetadata.has(key)) yield `column ${name} ${metadataWords(key, metadata[key])}`;
  }
  if (column === undefined) {
    if (!nullable) yield `column ${name} is required and not in the plan`;
    return;
  }
  const expected = deltaTypes[column.type];
  if (type !== expected) {
    yield `column ${name} is ${JSON.stringify(type)}, the plan's ${expected}`;
  }
  if (column.nullable && !nullable) {
    yield `column ${name} is required, in the plan it may be null`;
  }
}

/** What is said of a column for people only. Everything else may be a rule for whoever writes it. */
const harmlessMetadata: ReadonlySet<string> = new Set(['comment']);

function metadataWords(key: string, value: unknown): string {
  const shown = JSON.stringify(value)?.slice(0, 100) ?? '';
  if (key === '__CHAR_VARCHAR_TYPE_STRING') {
    return `is ${String(value).toUpperCase().slice(0, 40)}, whose length this writer does not check: make it a plain STRING (ALTER TABLE … ALTER COLUMN … TYPE STRING)`;
  }
  if (key === 'delta.invariants') return `has an invariant (${shown}): this writer cannot check it`;
  if (key === 'delta.generationExpression') {
    return `is generated (${shown}): this writer cannot compute it`;
  }
  if (key.startsWith('delta.identity.')) {
    return 'is an identity column: this writer cannot number its rows';
  }
  if (key === 'CURRENT_DEFAULT' || key === 'EXISTS_DEFAULT') {
    return `has a default (${shown}), which this writer does not fill in: drop it (ALTER TABLE … ALTER COLUMN … DROP DEFAULT)`;
  }
  return `has ${key} (${shown}) in its metadata, a rule that this writer does not know: have the tool that set it take it away`;
}

function* newColumnDifferences(plan: TablePlan, fields: readonly SchemaField[]): Generator<string> {
  const known = new Set(fields.map(({ name }) => name));
  const twins = new Map(fields.map(({ name }) => [foldedColumnName(name), name]));
  for (const { name, nullable } of plan.columns) {
    if (known.has(name)) continue;
    const twin = twins.get(foldedColumnName(name));
    if (twin !== undefined) {
      yield `column ${name} differs from the table's ${twin} in case or spelling only: with both, readers like Spark could not read the table again; write ${twin} in the schema`;
    } else if (!nullable) {
      yield `column ${name} is new and required: rows already there have no value for it`;
    }
  }
}

function parseFields(text: string): readonly SchemaField[] {
  const schema = JSON.parse(text) as { fields: readonly Partial<SchemaField>[] };
  return schema.fields.map(({ name, type, nullable, metadata }) => ({
    name: name ?? '',
    type,
    nullable: nullable ?? true,
    metadata: metadata ?? {},
  }));
}

function incompatible(
  plan: TablePlan,
  folder: string,
  differences: readonly string[],
): StreamError {
  return new StreamError(
    'STREAM_TABLE_INCOMPATIBLE',
    `the table ${plan.name} at ${folder} does not fit the plan: ${differences.join('; ')}. ` +
      'Give the table another name, or change the plan back (only nullable columns may be added)',
    { details: { table: plan.name, folder, differences } },
  );
}
