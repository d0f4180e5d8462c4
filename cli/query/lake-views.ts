/** A table of the lake as a DuckDB view over copies of its files. */
import type { DuckDBConnection } from '@duckdb/node-api';
import type { TableFile } from '../../shared/lake/table-reader';
import type { CatalogTable } from './lake-catalog';

interface Field {
  readonly name: string;
  /** Of the Delta protocol; an object for nested types. */
  readonly type: unknown;
}

/** Primitive types of the Delta protocol ("Primitive Types") in DuckDB's words. */
const duckDbTypes: Readonly<Record<string, string>> = {
  string: 'VARCHAR',
  long: 'BIGINT',
  integer: 'INTEGER',
  short: 'SMALLINT',
  byte: 'TINYINT',
  float: 'FLOAT',
  double: 'DOUBLE',
  boolean: 'BOOLEAN',
  binary: 'BLOB',
  date: 'DATE',
  timestamp: 'TIMESTAMP WITH TIME ZONE',
  timestamp_ntz: 'TIMESTAMP',
};

const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/**
 * Makes the view: columns of the table's schema by name, null where a file is older than a column,
 * partition columns with their types and whole values from the table's log.
 * @param copies path of each file's copy, by its name in the store
 */
export async function createView(
  connection: DuckDBConnection,
  table: CatalogTable,
  copies: ReadonlyMap<string, string>,
): Promise<void> {
  const { contents, format, name } = table;
  const { files, metaData } = contents;
  const fields = (JSON.parse(metaData?.schemaString ?? '{"fields":[]}') as { fields: Field[] })
    .fields;
  const view = `CREATE VIEW ${identifier(name)} AS SELECT`;
  if (files.length === 0) {
    const nothing = fields.map((field) => `${nullOf(field)} AS ${identifier(field.name)}`);
    await connection.run(`${view} ${nothing.join(', ')} WHERE false`);
    return;
  }
  const paths = files.map((file) => literal(pathOf(file, copies)));
  const source = format === 'delta' ? parquetOf(paths) : ndjsonOf(paths, fields);
  const partitionColumns = format === 'delta' ? (metaData?.partitionColumns ?? []) : [];
  const inFiles = await columnsOf(connection, source);
  const columns = fields.map((field) => {
    const { name: column } = field;
    const place = partitionColumns.indexOf(column);
    const value =
      place >= 0
        ? `CAST(p.${partition(place)} AS ${typeOf(field)})`
        : inFiles.has(column.toLowerCase())
          ? castOf(field, `f.${identifier(column)}`, format)
          : nullOf(field);
    return `${value} AS ${identifier(column)}`;
  });
  if (partitionColumns.length === 0) {
    await connection.run(`${view} ${columns.join(', ')} FROM ${source} AS f`);
    return;
  }
  const values = await createPartitionValues(connection, table, copies, partitionColumns);
  await connection.run(
    `${view} ${columns.join(', ')} FROM ${source} AS f JOIN ${values} AS p ON f.filename = p.filename`,
  );
}

/** A table of each file's partition values, as the log has them. */
async function createPartitionValues(
  connection: DuckDBConnection,
  { contents, name }: CatalogTable,
  copies: ReadonlyMap<string, string>,
  partitionColumns: readonly string[],
): Promise<string> {
  const table = identifier(`partition values of ${name}`);
  const columns = partitionColumns.map((_column, place) => `${partition(place)} VARCHAR`);
  await connection.run(`CREATE TABLE ${table} (filename VARCHAR, ${columns.join(', ')})`);
  const appender = await connection.createAppender(`partition values of ${name}`);
  for (const file of contents.files) {
    appender.appendVarchar(pathOf(file, copies));
    for (const column of partitionColumns) {
      const value = file.partitionValues[column];
      // "Partition Value Serialization": an empty text is null, whatever the type.
      if (value === undefined || value === null || value === '') appender.appendNull();
      else appender.appendVarchar(value);
    }
    appender.endRow();
  }
  appender.closeSync();
  return table;
}

function pathOf(file: TableFile, copies: ReadonlyMap<string, string>): string {
  const path = copies.get(file.name);
  if (path === undefined) throw new Error(`the file ${file.name} was not copied`);
  return path;
}

const partition = (place: number): string => `value_${place}`;

function parquetOf(paths: readonly string[]): string {
  return `read_parquet([${paths.join(', ')}], union_by_name = true, filename = true, hive_partitioning = false)`;
}

/** Values are read as the text they are, and get their types in the view. */
function ndjsonOf(paths: readonly string[], fields: readonly Field[]): string {
  const columns = fields.map(({ name }) => `${literal(name)}: 'VARCHAR'`);
  return `read_json([${paths.join(', ')}], format = 'newline_delimited', columns = {${columns.join(', ')}}, hive_partitioning = false)`;
}

/** Names of the columns that at least one file has, in lower case: DuckDB's names have no case. */
async function columnsOf(
  connection: DuckDBConnection,
  source: string,
): Promise<ReadonlySet<string>> {
  const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${source}`);
  return new Set(described.getRows().map(([column]) => String(column).toLowerCase()));
}

function castOf(field: Field, value: string, format: CatalogTable['format']): string {
  return format === 'delta' ? value : `CAST(${value} AS ${typeOf(field)})`;
}

/** Nested columns have the type that their files have; nothing else is known of them here. */
function typeOf({ type }: Field): string {
  if (typeof type !== 'string') return 'VARCHAR';
  if (/^decimal\(\d+,\s*\d+\)$/.test(type)) return type.toUpperCase();
  return duckDbTypes[type] ?? 'VARCHAR';
}

const nullOf = (field: Field): string => `CAST(NULL AS ${typeOf(field)})`;
