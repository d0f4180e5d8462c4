import type { ColumnChunk, ParquetType, SchemaElement } from 'hyparquet';
import { ByteWriter } from 'hyparquet-writer';
import { writeMetadata } from 'hyparquet-writer/src/metadata.js';
import type { Cell, Column, ColumnType, Row } from '../../model/table';
import { productVersion } from '../../model/version';
import { columnCells, type PlacedColumn } from '../cells';
import type { Bounds, ColumnData } from './column-data';
import { physicalTypes } from './column-data';
import {
  encodeBooleans,
  encodeDates,
  encodeDoubles,
  encodeIntegers,
  encodeTimestamps,
} from './number-columns';
import { writeColumnChunk } from './pages';
import { encodeStrings } from './string-column';

const magic = 0x31524150; // PAR1

const encoders: Readonly<
  Record<ColumnType, (cells: readonly Cell[], present: Uint8Array | undefined) => ColumnData>
> = {
  string: encodeStrings,
  integer: encodeIntegers,
  double: encodeDoubles,
  boolean: encodeBooleans,
  timestamp: encodeTimestamps,
  date: encodeDates,
};

export interface ColumnSummary {
  readonly column: Column;
  readonly nullCount: number;
  readonly bounds: Bounds | undefined;
}

/**
 * One Parquet file with one row group. A pure function: the same rows give the same bytes.
 *
 * @param columns the table's columns with their places in a row
 */
export function encodeParquet(
  columns: readonly PlacedColumn[],
  rows: readonly Row[],
): { readonly bytes: Uint8Array; readonly columns: readonly ColumnSummary[] } {
  const writer = new ByteWriter(64 * 1024);
  writer.appendUint32(magic);
  const chunks: ColumnChunk[] = [];
  const summaries: ColumnSummary[] = [];
  for (const { column, place } of columns) {
    const { cells, present } = columnCells({ column, place }, rows);
    const data = encoders[column.type](cells, present);
    const type: ParquetType = physicalTypes[column.type];
    const { name, nullable: optional } = column;
    const statistics = footerStatistics(column, data);
    chunks.push(
      writeColumnChunk({ writer, name, type, optional, rows: rows.length, data, statistics }),
    );
    summaries.push({ column, nullCount: data.nullCount, bounds: data.bounds });
  }
  const rowCount = BigInt(rows.length);
  const dataBytes = chunks.reduce(
    (sum, { meta_data }) => sum + (meta_data?.total_uncompressed_size ?? 0n),
    0n,
  );
  writeMetadata(writer, {
    version: 2,
    // The form that readers take a name and a version from.
    created_by: `millrace version ${productVersion}`,
    schema: [
      { name: 'spark_schema', num_children: columns.length, repetition_type: 'REQUIRED' },
      ...columns.map(({ column }) => schemaElement(column)),
    ],
    num_rows: rowCount,
    row_groups: [{ columns: chunks, total_byte_size: dataBytes, num_rows: rowCount }],
  } as unknown as Parameters<typeof writeMetadata>[1]);
  writer.appendUint32(magic);
  return { bytes: writer.getBytes(), columns: summaries };
}

/** Bounds that a footer can hold exactly: the others are in the log of the table. */
function footerStatistics(
  column: Column,
  { bounds, nullCount }: ColumnData,
): { min_value?: unknown; max_value?: unknown; null_count: bigint } {
  const counts = { null_count: BigInt(nullCount) };
  if (bounds === undefined) return counts;
  if (column.type === 'integer') {
    return { ...counts, min_value: BigInt(bounds.min), max_value: BigInt(bounds.max) };
  }
  if (column.type === 'timestamp' || column.type === 'date') return counts;
  return { ...counts, min_value: bounds.min, max_value: bounds.max };
}

function schemaElement({ name, type, nullable }: Column): SchemaElement {
  const element: SchemaElement = {
    name,
    type: physicalTypes[type],
    repetition_type: nullable ? 'OPTIONAL' : 'REQUIRED',
  };
  switch (type) {
    case 'string':
      return { ...element, converted_type: 'UTF8', logical_type: { type: 'STRING' } };
    case 'timestamp':
      return {
        ...element,
        converted_type: 'TIMESTAMP_MICROS',
        logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
      };
    case 'date':
      return { ...element, converted_type: 'DATE', logical_type: { type: 'DATE' } };
    case 'integer':
    case 'double':
    case 'boolean':
      return element;
  }
}
