/** Parquet as other tools write it: any schema, and instants of the old kind (INT96). */
import { parquetMetadata, type SchemaElement } from 'hyparquet';
import { ByteWriter, parquetWriteBuffer } from 'hyparquet-writer';
import { writeMetadata } from 'hyparquet-writer/src/metadata.js';

export interface ForeignColumn {
  readonly name: string;
  readonly element: Omit<SchemaElement, 'name'>;
  readonly values: readonly unknown[];
}

export const long: ForeignColumn['element'] = { type: 'INT64', repetition_type: 'OPTIONAL' };
export const double: ForeignColumn['element'] = { type: 'DOUBLE', repetition_type: 'OPTIONAL' };
export const text: ForeignColumn['element'] = {
  ...{ type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
};
export const micros: ForeignColumn['element'] = {
  ...{ type: 'INT64', converted_type: 'TIMESTAMP_MICROS', repetition_type: 'OPTIONAL' },
};
export const days: ForeignColumn['element'] = {
  ...{ type: 'INT32', converted_type: 'DATE', repetition_type: 'OPTIONAL' },
};

export function foreignParquet(...columns: readonly ForeignColumn[]): Uint8Array {
  const schema: SchemaElement[] = [
    { name: 'root', num_children: columns.length, repetition_type: 'REQUIRED' },
    ...columns.map(({ element, name }) => ({ ...element, name })),
  ];
  const columnData = columns.map(({ name, values }) => ({ name, data: [...values] }));
  return new Uint8Array(parquetWriteBuffer({ schema, columnData, statistics: false }));
}

const julianDayOf1970 = 2_440_588;
const nanosPerDay = 86_400_000_000_000n;

/** A file of one column of INT96 instants, in nanoseconds since 1970: what old Spark and Impala write. */
export function int96Parquet(name: string, nanos: readonly bigint[]): Uint8Array {
  const raw = nanos.map((at) => {
    const bytes = new Uint8Array(12);
    const day = at / nanosPerDay - (at % nanosPerDay < 0n ? 1n : 0n);
    const view = new DataView(bytes.buffer);
    view.setBigInt64(0, at - day * nanosPerDay, true);
    view.setInt32(8, Number(day) + julianDayOf1970, true);
    return bytes;
  });
  // The same bytes as a fixed length of 12: only the footer says otherwise.
  const element = { type: 'FIXED_LEN_BYTE_ARRAY', type_length: 12, repetition_type: 'REQUIRED' };
  const fixed = new Uint8Array(
    parquetWriteBuffer({
      schema: [
        { name: 'root', num_children: 1, repetition_type: 'REQUIRED' },
        { ...element, name } as SchemaElement,
      ],
      columnData: [{ name, data: raw, encoding: 'PLAIN' }],
      ...{ statistics: false, codec: 'UNCOMPRESSED' },
    }),
  );
  const metadata = parquetMetadata(fixed.buffer);
  const writer = new ByteWriter();
  writer.appendBytes(fixed.subarray(0, fixed.length - 8 - metadata.metadata_length));
  writeMetadata(writer, {
    ...metadata,
    schema: metadata.schema.map(({ type_length: _, ...one }) =>
      one.type === undefined ? one : { ...one, type: 'INT96' as const },
    ),
    row_groups: metadata.row_groups.map((group) => ({
      ...group,
      columns: group.columns.map((column) => ({
        ...column,
        ...(column.meta_data && { meta_data: { ...column.meta_data, type: 'INT96' as const } }),
      })),
    })),
  });
  writer.appendUint32(0x31524150);
  return writer.getBytes();
}
