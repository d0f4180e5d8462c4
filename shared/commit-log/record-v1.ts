/**
 * Format version 1 of a log record; one record is one appended block. Integers are big-endian.
 *
 *   record   = "MLRC"            magic, 4 bytes
 *              u16 version       1
 *              u16 kind          1 header, 2 commit, 3 attempt, 4 seal
 *              u32 payloadLength
 *              u32 crc           CRC-32 (IEEE) of version, kind, payloadLength and payload
 *              payload           payloadLength bytes
 *   payload  = u32 headerLength
 *              header            headerLength bytes of JSON in UTF-8
 *              section*          bytes back to back, as header.sections says, to the payload's end
 *
 * The JSON header is the record as model/commit.ts has it, with this change for a commit: `rows` and
 * `outbox` are left out and `sections` lists their byte arrays in order,
 *   { "type": "rows",   "name": table,    "count", "length" }
 *   { "type": "outbox", "name": exchange, "partition", "count", "length" }
 *
 * The encoder writes the header's fields in a fixed order: the same record gives the same bytes.
 */
import { crc32 } from 'node:zlib';
import type {
  CommitRecord,
  Cursor,
  HeaderRecord,
  LogRecord,
  OutboxMessage,
  StateChange,
  TableRows,
} from '../model/commit';
import { corruptLog, type LogPlace } from './corruption';
import { assertReadable, readHeaderJson, type SectionDescription } from './record-v1-json';

export const versionV1 = 1;

const magic = 0x4d4c5243; // "MLRC"
const kindCodes = { header: 1, commit: 2, attempt: 3, seal: 4 } as const;
const versionOffset = 4;
const kindOffset = 6;
const lengthOffset = 8;
const crcOffset = 12;
const frameBytes = 16;
const headerLengthBytes = 4;
/** The service's limit for one append block: no honest record is longer. */
const payloadBytesMax = 100 * 1024 * 1024;
/** Of a store's changes, made text at one time. */
const putsPerPiece = 32;

/** @returns null where the block would be longer than `bytesMax`: the rest of it is not made */
export function encodeRecordV1(record: LogRecord, bytesMax = payloadBytesMax): Buffer | null {
  const sections = record.kind === 'commit' ? sectionBytes(record) : [];
  const header = headerText(record, bytesMax);
  if (header === null) return null;
  const headerLength = Buffer.byteLength(header);
  let payloadLength = headerLengthBytes + headerLength;
  for (const section of sections) payloadLength += section.byteLength;
  if (frameBytes + payloadLength > bytesMax) return null;

  const block = Buffer.allocUnsafeSlow(frameBytes + payloadLength);
  block.writeUInt32BE(magic, 0);
  block.writeUInt16BE(versionV1, versionOffset);
  block.writeUInt16BE(kindCodes[record.kind], kindOffset);
  block.writeUInt32BE(payloadLength, lengthOffset);
  let offset = block.writeUInt32BE(headerLength, frameBytes);
  offset += block.write(header, offset, 'utf8');
  for (const section of sections) {
    block.set(section, offset);
    offset += section.byteLength;
  }
  block.writeUInt32BE(checksum(block), crcOffset);
  return block;
}

const noState = '"state":[]';

/** The header's JSON, its state piece by piece: all of what a batch changed may be beyond any limit. */
function headerText(record: LogRecord, lengthMax: number): string | null {
  const fields = headerOf(record);
  assertReadable(fields);
  if (record.kind !== 'commit' || record.state.length === 0) return JSON.stringify(fields);
  const state = stateText(record.state, lengthMax);
  if (state === null) return null;
  const text = JSON.stringify({ ...fields, state: [] });
  // No text in it can hold this: its quotes would be escaped.
  const at = text.indexOf(noState);
  return `${text.slice(0, at)}"state":[${state}]${text.slice(at + noState.length)}`;
}

function stateText(changes: readonly StateChange[], lengthMax: number): string | null {
  const texts: string[] = [];
  let length = 0;
  for (const { deletes, puts, store } of changes) {
    const pieces: string[] = [];
    for (let start = 0; start < puts.length; start += putsPerPiece) {
      const piece = pieceText(puts.slice(start, start + putsPerPiece));
      if (piece === null) return null;
      length += piece.length;
      if (length > lengthMax) return null;
      pieces.push(piece);
    }
    const rest = JSON.stringify(deletes);
    length += rest.length;
    if (length > lengthMax) return null;
    texts.push(`{"store":${JSON.stringify(store)},"puts":[${pieces.join(',')}],"deletes":${rest}}`);
  }
  return texts.join(',');
}

/** Null for what no text can hold. */
function pieceText(puts: StateChange['puts']): string | null {
  try {
    return JSON.stringify(puts).slice(1, -1);
  } catch (cause) {
    if (cause instanceof RangeError) return null;
    throw cause;
  }
}

/** @param start where the record begins in `buffer`; magic and version are known to be right */
export function decodeRecordV1(
  buffer: Buffer,
  start: number,
  place: LogPlace,
): { readonly record: LogRecord; readonly end: number } {
  const available = buffer.length - start;
  if (available < frameBytes) throw corruptLog(place, `cut short: ${available} bytes are left`);
  const payloadLength = buffer.readUInt32BE(start + lengthOffset);
  const length = frameBytes + payloadLength;
  if (payloadLength > payloadBytesMax || length > available) {
    throw corruptLog(place, `its length says ${length} bytes, ${available} are left`);
  }
  const block = buffer.subarray(start, start + length);
  const expected = block.readUInt32BE(crcOffset);
  const found = checksum(block);
  if (found !== expected) {
    throw corruptLog(place, `its checksum says ${hex(expected)}, its bytes have ${hex(found)}`);
  }
  return { record: decodePayload(block, place), end: start + length };
}

function decodePayload(block: Buffer, place: LogPlace): LogRecord {
  const headerStart = frameBytes + headerLengthBytes;
  const headerLength = block.length < headerStart ? Infinity : block.readUInt32BE(frameBytes);
  const sectionsStart = headerStart + headerLength;
  if (sectionsStart > block.length) {
    throw corruptLog(place, `its header says ${headerLength} bytes, more than the record holds`);
  }
  const { record, sections } = readHeaderJson(
    block.toString('utf8', headerStart, sectionsStart),
    place,
  );
  if (kindCodes[record.kind] !== block.readUInt16BE(kindOffset)) {
    throw corruptLog(place, `its frame and its header disagree on its kind (${record.kind})`);
  }
  const total = sections.reduce((sum, section) => sum + section.length, sectionsStart);
  if (total !== block.length) {
    throw corruptLog(place, `its sections end at ${total}, the record at ${block.length}`);
  }
  if (record.kind !== 'commit') return record;
  return { ...record, ...readSections(block, sectionsStart, sections) };
}

/** The header with its fields in the format's order, whatever order the caller built them in. */
function headerOf(record: LogRecord): object {
  switch (record.kind) {
    case 'commit':
      return commitHeader(record);
    case 'attempt': {
      const { attempt, count, from, kind, scope, startedAtMs, writer } = record;
      const { suspectEvents, suspectMessages } = record;
      const suspects = { suspectMessages, suspectEvents };
      return {
        kind,
        writer,
        startedAtMs,
        from: cursorOf(from),
        attempt,
        scope,
        count,
        ...suspects,
      };
    }
    case 'header': {
      const { afterCommit, generation, kind, snapshot } = record;
      return { kind, generation, afterCommit, snapshot: snapshot && snapshotOf(snapshot) };
    }
    case 'seal': {
      const { afterCommit, isFinal, kind, sealedAtMs, writer } = record;
      return { kind, writer, sealedAtMs, afterCommit, isFinal };
    }
  }
}

function cursorOf({ index, sequenceNumber }: Cursor): Cursor {
  return { sequenceNumber, index };
}

function snapshotOf(snapshot: NonNullable<HeaderRecord['snapshot']>): unknown {
  return { name: snapshot.name, bytes: snapshot.bytes, crc32: snapshot.crc32 };
}

function commitHeader(record: CommitRecord): object {
  const { ledger } = record;
  return {
    kind: record.kind,
    commit: record.commit,
    commitId: record.commitId,
    writer: record.writer,
    committedAtMs: record.committedAtMs,
    from: cursorOf(record.from),
    to: cursorOf(record.to),
    messages: record.messages,
    inputHash: record.inputHash,
    watermarkMs: record.watermarkMs,
    watermarkReason: record.watermarkReason,
    ledger: {
      read: ledger.read,
      emitted: ledger.emitted,
      filtered: ledger.filtered,
      late: ledger.late,
      deadLettered: ledger.deadLettered,
      gap: ledger.gap,
    },
    state: record.state.map(({ deletes, puts, store }) => ({ store, puts, deletes })),
    deadLetters: record.deadLetters,
    gaps: record.gaps,
    outboxConfirmedThrough: record.outboxConfirmedThrough,
    flushedThrough: record.flushedThrough,
    sections: describeSections(record),
  };
}

function describeSections(record: CommitRecord): SectionDescription[] {
  const { outbox, rows } = record;
  const sections: SectionDescription[] = [];
  for (const { count, lines, table } of rows) {
    sections.push({ type: 'rows', name: table, count, length: lines.byteLength });
  }
  for (const { body, count, exchange, partition } of outbox) {
    sections.push({ type: 'outbox', name: exchange, partition, count, length: body.byteLength });
  }
  return sections;
}

function sectionBytes(record: CommitRecord): Uint8Array[] {
  return [...record.rows.map(({ lines }) => lines), ...record.outbox.map(({ body }) => body)];
}

function readSections(
  block: Buffer,
  start: number,
  sections: readonly SectionDescription[],
): { rows: TableRows[]; outbox: OutboxMessage[] } {
  const rows: TableRows[] = [];
  const outbox: OutboxMessage[] = [];
  let offset = start;
  for (const section of sections) {
    const bytes = block.subarray(offset, offset + section.length);
    offset += section.length;
    const { count, name } = section;
    if (section.type === 'rows') rows.push({ table: name, count, lines: bytes });
    else outbox.push({ exchange: name, partition: section.partition, count, body: bytes });
  }
  return { rows, outbox };
}

function checksum(block: Buffer): number {
  const frame = crc32(block.subarray(versionOffset, crcOffset));
  return crc32(block.subarray(frameBytes), frame);
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
