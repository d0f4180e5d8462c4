import type { LogRecord } from '../model/commit';
import { invariant, StreamError } from '../model/errors';
import { corruptLog } from './corruption';
import { decodeRecordV1, encodeRecordV1, versionV1 } from './record-v1';

/** Every version of the format begins so: four bytes of magic and the version, big-endian. */
const recordMagic = 'MLRC';
const versionOffset = 4;
const prefixBytes = 6;

/** Encodings of records whose length was asked for and that are about to be appended. */
const encoded = new WeakMap<LogRecord, Buffer>();

/** One record as the block that is appended. Records are immutable: the bytes are made once. */
export function encodeRecord(record: LogRecord): Buffer {
  const block = encoded.get(record) ?? encodeRecordV1(record);
  invariant(block !== null, 'a record is measured before it is appended', { kind: record.kind });
  encoded.set(record, block);
  return block;
}

/**
 * Bytes that the record takes in the log; Infinity where they are more than `bytesMax` (by default
 * what the service takes in one append).
 */
export function encodedLength(record: LogRecord, bytesMax?: number): number {
  const block = encoded.get(record) ?? encodeRecordV1(record, bytesMax);
  if (block === null) return Infinity;
  encoded.set(record, block);
  return block.byteLength;
}

/** Where bytes came from, for errors. */
export interface RecordSource {
  readonly blob: string;
  /** Position in the blob of the first byte given. */
  readonly position: number;
}

export interface PlacedRecord {
  readonly record: LogRecord;
  /** Position in the blob right after this record. */
  readonly end: number;
}

/**
 * Decodes all records of a stretch of a log. Byte arrays of the records are views on `bytes`.
 * @throws StreamError STREAM_LOG_CORRUPT with blob and position; STREAM_LOG_VERSION_UNKNOWN when a
 *   newer build wrote the record
 */
export function decodeRecords(bytes: Uint8Array, source: RecordSource): PlacedRecord[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: PlacedRecord[] = [];
  let offset = 0;
  while (offset < buffer.length) {
    const { end, record } = decodeOne(buffer, offset, source);
    offset = end;
    records.push({ record, end: source.position + end });
  }
  return records;
}

function decodeOne(
  buffer: Buffer,
  start: number,
  source: RecordSource,
): { readonly record: LogRecord; readonly end: number } {
  const where = { blob: source.blob, position: source.position + start };
  if (buffer.length - start < prefixBytes) {
    throw corruptLog(where, `cut short: ${buffer.length - start} bytes are left`);
  }
  const magic = buffer.toString('latin1', start, start + versionOffset);
  if (magic !== recordMagic) {
    throw corruptLog(where, `no record begins here: magic is ${JSON.stringify(magic)}`);
  }
  const version = buffer.readUInt16BE(start + versionOffset);
  if (version === versionV1) return decodeRecordV1(buffer, start, where);
  throw new StreamError(
    'STREAM_LOG_VERSION_UNKNOWN',
    `${where.blob} at byte ${where.position}: the record has format version ${version}, this build ` +
      `reads up to ${versionV1}; deploy the newer build again`,
    { details: { ...where, version } },
  );
}
