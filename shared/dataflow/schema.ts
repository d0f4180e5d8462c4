import { Type, type TObject, type TSchema } from 'typebox';
import { columnNameFault, foldedColumnName } from '../model/column-names';
import type { Column, ColumnType } from '../model/table';

/** A point in time: epoch milliseconds in events and rows, a timestamp column in the lake. */
export const Timestamp = () => Type.Integer({ lakeType: 'timestamp' });

/** A calendar day: 'YYYY-MM-DD' in events and rows, a date column in the lake. */
export const Day = () =>
  Type.String({ lakeType: 'date', pattern: String.raw`^\d{4}-\d{2}-\d{2}$` });

/** A value that may be null. */
export const Nullable = <Schema extends TSchema>(schema: Schema) =>
  Type.Union([schema, Type.Null()]);

interface SchemaFacts {
  readonly type?: string;
  readonly lakeType?: string;
  readonly anyOf?: readonly TSchema[];
}

const columnTypes: ReadonlyMap<string | undefined, ColumnType> = new Map([
  ['string', 'string'],
  ['integer', 'integer'],
  ['bigint', 'integer'],
  ['number', 'double'],
  ['boolean', 'boolean'],
]);
/** By `lakeType`: the JSON type that its values have. */
const lakeTypes: ReadonlyMap<string, { readonly type: string; readonly column: ColumnType }> =
  new Map([
    ['timestamp', { type: 'integer', column: 'timestamp' }],
    ['date', { type: 'string', column: 'date' }],
  ]);

/** The lake columns that a schema describes, and what about them a table cannot hold. */
export function columnsOf(
  schema: TObject,
  partitionBy: readonly string[],
): { columns: Column[]; faults: string[] } {
  const columns: Column[] = [];
  const faults: string[] = [];
  const required: readonly string[] = (schema as { required?: readonly string[] }).required ?? [];
  const names = Object.keys(schema.properties);
  for (const name of names) {
    const nameFault = columnNameFault(name);
    const { core, isNullable } = unwrap(schema.properties[name] as TSchema);
    const facts = core as SchemaFacts;
    const type = columnType(facts);
    if (nameFault !== undefined) {
      faults.push(nameFault);
    } else if (type === undefined) {
      const found = [facts.type ?? 'of an unknown type', facts.lakeType]
        .filter(Boolean)
        .join(' as ');
      faults.push(
        `column ${name} is ${found}: use String, Integer, BigInt, Number, Boolean, Timestamp or Day`,
      );
    } else {
      columns.push({ name, type, nullable: isNullable || !required.includes(name) });
    }
  }
  if (names.length === 0) faults.push('the schema has no columns');
  return {
    columns,
    faults: [...faults, ...twinFaults(names), ...partitionFaults(names, partitionBy)],
  };
}

function columnType({ lakeType, type }: SchemaFacts): ColumnType | undefined {
  if (lakeType === undefined) return columnTypes.get(type);
  const known = lakeTypes.get(lakeType);
  return known?.type === type ? known?.column : undefined;
}

/** Columns that many readers take for one. */
function twinFaults(names: readonly string[]): string[] {
  const known = new Map<string, string>();
  const faults: string[] = [];
  for (const name of names) {
    const folded = foldedColumnName(name);
    const twin = known.get(folded);
    if (twin === undefined) known.set(folded, name);
    else {
      faults.push(
        `columns ${twin} and ${name} differ in case or spelling only, and many readers take them for one: rename one`,
      );
    }
  }
  return faults;
}

/** @param names of all columns that were asked for, faulty ones too: each fault is told once */
function partitionFaults(names: readonly string[], partitionBy: readonly string[]): string[] {
  const faults: string[] = [];
  for (const [index, name] of partitionBy.entries()) {
    if (partitionBy.indexOf(name) < index) {
      faults.push(`it is partitioned by ${name} twice: name every column once`);
    } else if (!names.includes(name)) {
      const near = names.find((other) => foldedColumnName(other) === foldedColumnName(name));
      const hint = near === undefined ? '' : ` (there is ${near})`;
      faults.push(`no column ${name} to partition by${hint}`);
    }
  }
  if (names.length > 0 && names.every((name) => partitionBy.includes(name))) {
    faults.push('a column must remain beside those it is partitioned by');
  }
  return faults;
}

function unwrap(property: TSchema): { core: TSchema; isNullable: boolean } {
  const { anyOf } = property as SchemaFacts;
  if (anyOf === undefined) return { core: property, isNullable: false };
  const others = anyOf.filter((option) => (option as SchemaFacts).type !== 'null');
  const [core] = others;
  return others.length === 1 && core !== undefined
    ? { core, isNullable: others.length < anyOf.length }
    : { core: property, isNullable: false };
}
