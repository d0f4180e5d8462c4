/**
 * Column chunks of Parquet, for flat columns: data pages version 1 (which every reader knows),
 * PLAIN or dictionary, Snappy. The thrift headers are hyparquet-writer's.
 */
import type { ColumnChunk, Encoding, ParquetType } from 'hyparquet';
import type { ByteWriter } from 'hyparquet-writer';
import { writePageHeader } from 'hyparquet-writer/src/datapage.js';
import { compressSnappy } from './snappy';
import type { ColumnData } from './column-data';

/** Rows of one page: small enough for a reader's cache, large enough for Snappy. */
const rowsPerPage = 32_768;

export function writeColumnChunk(options: {
  readonly writer: ByteWriter;
  readonly name: string;
  readonly type: ParquetType;
  readonly optional: boolean;
  readonly rows: number;
  readonly data: ColumnData;
  readonly statistics: { min_value?: unknown; max_value?: unknown; null_count: bigint };
}): ColumnChunk {
  const { writer, name, type, rows, data, statistics } = options;
  const start = writer.offset;
  const sizes = { uncompressed: 0 };
  const dictionaryOffset = data.dictionary && BigInt(writer.offset);
  if (data.dictionary) writeDictionary(writer, data, sizes);
  const dataOffset = BigInt(writer.offset);
  let fromValue = 0;
  for (let fromRow = 0; fromRow < rows; fromRow += rowsPerPage) {
    const toRow = Math.min(rows, fromRow + rowsPerPage);
    const toValue = fromValue + countPresent(data.present, fromRow, toRow);
    writePage(options, { fromRow, toRow, fromValue, toValue }, sizes);
    fromValue = toValue;
  }
  const encodings: Encoding[] = data.dictionary
    ? ['RLE', 'PLAIN', 'RLE_DICTIONARY']
    : ['RLE', 'PLAIN'];
  return {
    file_offset: BigInt(start),
    meta_data: {
      type,
      encodings,
      path_in_schema: [name],
      codec: 'SNAPPY',
      num_values: BigInt(rows),
      total_uncompressed_size: BigInt(sizes.uncompressed),
      total_compressed_size: BigInt(writer.offset - start),
      data_page_offset: dataOffset,
      ...(dictionaryOffset !== undefined && { dictionary_page_offset: dictionaryOffset }),
      statistics: statistics as NonNullable<ColumnChunk['meta_data']>['statistics'] & object,
    },
  };
}

interface PageRange {
  readonly fromRow: number;
  readonly toRow: number;
  readonly fromValue: number;
  readonly toValue: number;
}

function writePage(
  options: { writer: ByteWriter; optional: boolean; data: ColumnData },
  range: PageRange,
  sizes: { uncompressed: number },
): void {
  const { writer, optional, data } = options;
  const parts: Uint8Array[] = [];
  if (optional) parts.push(definitionLevels(data.present, range.fromRow, range.toRow));
  parts.push(
    data.dictionary
      ? packIndexes(data.dictionary.indexes, data.dictionary.count, range)
      : data.plain(range.fromValue, range.toValue),
  );
  const page = parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
  const compressed = compressSnappy(page);
  const before = writer.offset;
  writePageHeader(writer, {
    type: 'DATA_PAGE',
    uncompressed_page_size: page.length,
    compressed_page_size: compressed.length,
    data_page_header: {
      num_values: range.toRow - range.fromRow,
      encoding: data.dictionary ? 'RLE_DICTIONARY' : 'PLAIN',
      definition_level_encoding: 'RLE',
      repetition_level_encoding: 'RLE',
    },
  });
  sizes.uncompressed += writer.offset - before + page.length;
  writer.appendBytes(compressed);
}

function writeDictionary(
  writer: ByteWriter,
  data: ColumnData,
  sizes: { uncompressed: number },
): void {
  const count = data.dictionary?.count ?? 0;
  const page = data.plain(0, count);
  const compressed = compressSnappy(page);
  const before = writer.offset;
  writePageHeader(writer, {
    type: 'DICTIONARY_PAGE',
    uncompressed_page_size: page.length,
    compressed_page_size: compressed.length,
    dictionary_page_header: { num_values: count, encoding: 'PLAIN' },
  });
  sizes.uncompressed += writer.offset - before + page.length;
  writer.appendBytes(compressed);
}

function countPresent(present: Uint8Array | undefined, from: number, to: number): number {
  if (present === undefined) return to - from;
  let count = 0;
  for (let index = from; index < to; index += 1) count += present[index] ?? 0;
  return count;
}

/** Levels 0 and 1 in the RLE/bit-packed hybrid, behind their length. */
function definitionLevels(present: Uint8Array | undefined, from: number, to: number): Uint8Array {
  const count = to - from;
  const levels =
    present === undefined
      ? Buffer.from([...varint(count * 2), 1])
      : packHybrid(count, 1, (index) => present[from + index] ?? 0);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(levels.length);
  return Buffer.concat([length, levels]);
}

/** One byte for the width of an index, then the indexes. */
function packIndexes(indexes: Uint32Array, entries: number, range: PageRange): Uint8Array {
  const width = Math.max(1, 32 - Math.clz32(Math.max(0, entries - 1)));
  const { fromValue, toValue } = range;
  const packed = packHybrid(toValue - fromValue, width, (at) => indexes[fromValue + at] ?? 0);
  return Buffer.concat([Buffer.from([width]), packed]);
}

/** A single bit-packed run: groups of eight values, least significant bit first. */
function packHybrid(count: number, width: number, valueAt: (index: number) => number): Uint8Array {
  const groups = Math.ceil(count / 8);
  const head = varint(groups * 2 + 1);
  const bytes = Buffer.alloc(head.length + groups * width);
  bytes.set(head);
  let position = head.length;
  let pending = 0;
  let pendingBits = 0;
  for (let index = 0; index < count; index += 1) {
    // At most 7 + 15 bits: dictionaries have at most 32,768 entries.
    pending |= valueAt(index) << pendingBits;
    pendingBits += width;
    while (pendingBits >= 8) {
      bytes[position] = pending & 0xff;
      position += 1;
      pending >>>= 8;
      pendingBits -= 8;
    }
  }
  if (pendingBits > 0) bytes[position] = pending;
  return bytes;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return bytes;
}
