import { Type, type TObject, type TSchema } from 'typebox';
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

const columnTypes: Readonly<Record<string, ColumnType>> = {
  string: 'string',
  integer: 'integer',
  number: 'double',
  boolean: 'boolean',
  timestamp: 'timestamp',
  date: 'date',
};

/** The lake columns that a schema describes, or what about it a table cannot hold. */
export function columnsOf(schema: TObject): { columns: Column[]; faults: string[] } {
  const columns: Column[] = [];
  const faults: string[] = [];
  const required: readonly string[] = (schema as { required?: readonly string[] }).required ?? [];
  for (const [name, property] of Object.entries(schema.properties)) {
    const { core, isNullable } = unwrap(property);
    const facts = core as SchemaFacts;
    const type = columnTypes[facts.lakeType ?? facts.type ?? ''];
    if (type === undefined) {
      faults.push(
        `column ${name} is ${facts.type ?? 'of an unknown type'}: use String, Integer, Number, Boolean, Timestamp or Day`,
      );
    } else {
      columns.push({ name, type, nullable: isNullable || !required.includes(name) });
    }
  }
  if (columns.length === 0 && faults.length === 0) faults.push('the schema has no columns');
  return { columns, faults };
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
