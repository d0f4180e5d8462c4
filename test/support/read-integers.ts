import { parquetReadObjects } from 'hyparquet';

/** The integers of one column, with all their digits. */
export async function readIntegers(bytes: Uint8Array, column: string): Promise<string[]> {
  const rows = await parquetReadObjects({ file: bytes.slice().buffer, columns: [column] });
  return rows.map((row) => String(row[column]));
}
