/**
 * Format version 2 of a log record; one record is one appended block. Integers are big-endian.
 *
 *   record   = "MLRC"       magic, 4 bytes
 *              u16 version  2
 *              u8  kind     1 header, 2 commit, 3 attempt, 4 seal, 5 plan
 *              u8  reserved 0
 *              u32 length   of the whole record
 *              u32 crc      CRC-32 (IEEE) of version to length and of all that follows the crc
 *              section*     back to back, to the trailer
 *              u32 length   once more: the last record of a blob is found from the blob's end
 *   section  = u16 type, u8 flags, u8 reserved, u32 length, body
 *
 * Flag 1, must be understood: who does not know the type refuses the record. Other sections of unknown
 * type are skipped. Sections and their bodies: record-sections.ts, fields: binary.ts.
 */
import { crc32 } from 'node:zlib';
import type { LogRecord } from '../model/commit';
import { invariant, StreamError } from '../model/errors';
import { corruptLog, type LogPlace } from './corruption';
import { readSections, sectionsOf, type Section } from './record-sections';

/** What this build writes, and all that it reads. */
export const recordVersion = 2;

const magic = 0x4d4c5243; // "MLRC"
const kinds = ['header', 'commit', 'attempt', 'seal', 'plan'] as const;
const versionOffset = 4;
const kindOffset = 6;
const reservedOffset = 7;
const lengthOffset = 8;
const crcOffset = 12;
const frameBytes = 16;
const prefixBytes = 6;
const sectionFrameBytes = 8;
const mustUnderstand = 1;
export const trailerBytes = 4;
/** The service's limit for one append block: no honest record is longer. */
const recordBytesMax = 100 * 1024 * 1024;

/** Encodings of records whose length was asked for and that are about to be appended. */
const encoded = new WeakMap<LogRecord, Buffer>();

/** One record as the block that is appended. Records are immutable: the bytes are made once. */
export function encodeRecord(record: LogRecord): Buffer {
  const block = encoded.get(record) ?? encode(record, recordBytesMax);
  invariant(block !== null, 'a record is measured before it is appended', { kind: record.kind });
  encoded.set(record, block);
  return block;
}

/**
 * Bytes that the record takes in the log; Infinity where they are more than `bytesMax` (by default
 * what the service takes in one append): the block is not made then.
 */
export function encodedLength(record: LogRecord, bytesMax = recordBytesMax): number {
  const block = encoded.get(record) ?? encode(record, bytesMax);
  if (block === null) return Infinity;
  encoded.set(record, block);
  return block.byteLength;
}

function encode(record: LogRecord, bytesMax: number): Buffer | null {
  const sections = sectionsOf(record);
  let length = frameBytes + trailerBytes;
  for (const { bodies } of sections) {
    length += sectionFrameBytes;
    for (const body of bodies) length += body.byteLength;
  }
  if (length > bytesMax) return null;
  const block = Buffer.allocUnsafeSlow(length);
  block.writeUInt32BE(magic, 0);
  block.writeUInt16BE(recordVersion, versionOffset);
  block.writeUInt8(kinds.indexOf(record.kind) + 1, kindOffset);
  block.writeUInt8(0, reservedOffset);
  block.writeUInt32BE(length, lengthOffset);
  let offset = frameBytes;
  for (const section of sections) offset = writeSection(block, offset, section);
  block.writeUInt32BE(length, offset);
  block.writeUInt32BE(checksum(block), crcOffset);
  return block;
}

function writeSection(block: Buffer, start: number, { bodies, type }: Section): number {
  let offset = start + sectionFrameBytes;
  for (const body of bodies) {
    block.set(body, offset);
    offset += body.byteLength;
  }
  block.writeUInt16BE(type, start);
  // All that this version has bears on what a task does next.
  block.writeUInt8(mustUnderstand, start + 2);
  block.writeUInt8(0, start + 3);
  block.writeUInt32BE(offset - start - sectionFrameBytes, start + 4);
  return offset;
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
 * @throws StreamError STREAM_LOG_CORRUPT with blob and position; STREAM_LOG_VERSION_UNKNOWN when
 *   another build wrote the record
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
  const place = { blob: source.blob, position: source.position + start };
  const available = buffer.length - start;
  if (available < prefixBytes) throw corruptLog(place, `cut short: ${available} bytes are left`);
  if (buffer.readUInt32BE(start) !== magic) {
    const found = buffer.toString('latin1', start, start + versionOffset);
    throw corruptLog(place, `no record begins here: magic is ${JSON.stringify(found)}`);
  }
  assertVersion(buffer.readUInt16BE(start + versionOffset), place);
  if (available < frameBytes) throw corruptLog(place, `cut short: ${available} bytes are left`);
  const length = buffer.readUInt32BE(start + lengthOffset);
  if (length < frameBytes + trailerBytes || length > available) {
    throw corruptLog(place, `its length says ${length} bytes, ${available} are left`);
  }
  const block = buffer.subarray(start, start + length);
  const trailer = block.readUInt32BE(length - trailerBytes);
  if (trailer !== length) {
    throw corruptLog(place, `its length is ${length} at its beginning and ${trailer} at its end`);
  }
  const expected = block.readUInt32BE(crcOffset);
  const found = checksum(block);
  if (found !== expected) {
    throw corruptLog(place, `its checksum says ${hex(expected)}, its bytes have ${hex(found)}`);
  }
  return { record: decodeBlock(block, place), end: start + length };
}

/** @throws StreamError STREAM_LOG_VERSION_UNKNOWN where this build reads no such records */
export function assertVersion(version: number, place: LogPlace): void {
  if (version === recordVersion) return;
  const remedy =
    version > recordVersion
      ? `this build reads ${recordVersion}: deploy the newer build again`
      : `nothing reads that any more, this build reads ${recordVersion}: begin the topology anew ` +
        '(millrace reset): its tables are emptied, and what its hubs still hold is read again';
  throw new StreamError(
    'STREAM_LOG_VERSION_UNKNOWN',
    `${place.blob} at byte ${place.position}: the record has format version ${version}, ${remedy}`,
    { details: { ...place, version } },
  );
}

function decodeBlock(block: Buffer, place: LogPlace): LogRecord {
  const code = block.readUInt8(kindOffset);
  const kind = kinds[code - 1];
  if (kind === undefined) throw corruptLog(place, `its kind is ${code}`);
  const sections: Section[] = [];
  const end = block.length - trailerBytes;
  for (let offset = frameBytes; offset < end;) {
    const frameEnd = offset + sectionFrameBytes;
    const length = frameEnd > end ? Infinity : block.readUInt32BE(offset + 4);
    if (frameEnd + length > end) throw corruptLog(place, 'a section is longer than its record');
    const body = block.subarray(frameEnd, frameEnd + length);
    const type = block.readUInt16BE(offset);
    const flags = block.readUInt16BE(offset + 2) >>> 8;
    if (flags > mustUnderstand) throw corruptLog(place, `section ${type} has flags ${flags}`);
    sections.push({ type, bodies: [body], isSkippable: flags !== mustUnderstand });
    offset = frameEnd + length;
  }
  return readSections(kind, sections, place);
}

function checksum(block: Buffer): number {
  const frame = crc32(block.subarray(versionOffset, crcOffset));
  return crc32(block.subarray(frameBytes), frame);
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
