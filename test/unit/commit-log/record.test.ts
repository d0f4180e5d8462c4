import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { decodeRecords, encodedLength, encodeRecord } from '../../../shared/commit-log/record';
import type { LogRecord } from '../../../shared/model/commit';
import { StreamError } from '../../../shared/model/errors';
import { comparable, sampleRecords } from '../../support/log-records';

const fixtures = join(__dirname, '../../fixtures/commit-log/v2');
const source = { blob: 'commits/t/v1/s/1/0/00000000', position: 1000 };

function failure(work: () => unknown): StreamError {
  try {
    work();
  } catch (error) {
    if (error instanceof StreamError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

interface ForgedSection {
  readonly type: number;
  readonly flags?: number;
  readonly body: Buffer;
}

/** A record of these sections, framed honestly. */
function forged(kind: number, sections: readonly ForgedSection[]): Buffer {
  return framed(
    kind,
    Buffer.concat(
      sections.flatMap(({ body, flags = 1, type }) => {
        const frame = Buffer.alloc(8);
        frame.writeUInt16BE(type, 0);
        frame.writeUInt8(flags, 2);
        frame.writeUInt32BE(body.length, 4);
        return [frame, body];
      }),
    ),
  );
}

function framed(kind: number, payload: Buffer, version = 2): Buffer {
  const frame = Buffer.alloc(16);
  const trailer = Buffer.alloc(4);
  const length = frame.length + payload.length + trailer.length;
  frame.write('MLRC', 'latin1');
  frame.writeUInt16BE(version, 4);
  frame.writeUInt8(kind, 6);
  frame.writeUInt32BE(length, 8);
  trailer.writeUInt32BE(length);
  const rest = Buffer.concat([payload, trailer]);
  frame.writeUInt32BE(crc32(rest, crc32(frame.subarray(4, 12))), 12);
  return Buffer.concat([frame, rest]);
}

/** The sections of a record as it was written. */
function sectionsIn(bytes: Buffer): ForgedSection[] {
  const sections: ForgedSection[] = [];
  for (let offset = 16; offset < bytes.length - 4;) {
    const length = bytes.readUInt32BE(offset + 4);
    const body = bytes.subarray(offset + 8, offset + 8 + length);
    sections.push({ type: bytes.readUInt16BE(offset), body });
    offset += 8 + length;
  }
  return sections;
}

function decodeFailure(bytes: Buffer): StreamError {
  const error = failure(() => decodeRecords(bytes, source));
  expect(error.details).toMatchObject({ blob: source.blob });
  return error;
}

describe('format 2', () => {
  it('refuses to write figures that nobody could read again', () => {
    const { attempt, commit } = sampleRecords;
    const records = [
      { ...attempt, count: Infinity },
      { ...commit, watermarkMs: Number.NaN },
      { ...commit, messages: -1 },
      { ...commit, watermarkReason: 'whim' },
    ];
    for (const record of records) {
      expect(() => encodeRecord(record as LogRecord)).toThrow(/only if it can be read/);
    }
  });

  it.each(Object.entries(sampleRecords))('writes and reads the bytes of %s', (name, record) => {
    const file = join(fixtures, `${name}.bin`);
    // A fixture is written once, by hand (MILLRACE_WRITE_FIXTURES=1), and never again: logs in the
    // field hold these bytes.
    if (process.env['MILLRACE_WRITE_FIXTURES'] === '1') writeFileSync(file, encodeRecord(record));
    const bytes = readFileSync(file);
    expect(encodeRecord(record).equals(bytes)).toBe(true);
    expect(encodedLength(record)).toBe(bytes.length);
    const [decoded, ...rest] = decodeRecords(bytes, source);
    expect(rest).toEqual([]);
    expect(decoded?.end).toBe(source.position + bytes.length);
    expect(comparable(decoded?.record as LogRecord)).toEqual(comparable(record));
  });

  it('gives the same bytes whatever order the fields were built in', () => {
    const record = sampleRecords['attempt'] as LogRecord;
    const reversed = Object.fromEntries(Object.entries(record).reverse()) as unknown as LogRecord;
    expect(encodeRecord(reversed).equals(encodeRecord(record))).toBe(true);
  });

  it('gives views, not copies, of byte arrays', () => {
    const bytes = encodeRecord(sampleRecords['commit'] as LogRecord);
    const [decoded] = decodeRecords(bytes, source);
    if (decoded?.record.kind !== 'commit') throw new Error('a commit was encoded');
    expect(decoded.record.rows[0]?.lines.buffer).toBe(bytes.buffer);
  });
});

describe('a damaged log', () => {
  const good = encodeRecord(sampleRecords['commit'] as LogRecord);

  it('is refused with the position of the damage, wherever one bit flips', () => {
    const first = encodeRecord(sampleRecords['header'] as LogRecord);
    for (let index = 0; index < good.length; index += 1) {
      const bytes = Buffer.concat([first, good]);
      bytes.writeUInt8(bytes.readUInt8(first.length + index) ^ 0x10, first.length + index);
      const error = decodeFailure(bytes);
      expect(['STREAM_LOG_CORRUPT', 'STREAM_LOG_VERSION_UNKNOWN']).toContain(error.code);
      expect(error.details['position']).toBe(source.position + first.length);
      expect(error.disposition).toBe('halt');
    }
  });

  it('is refused when cut short anywhere', () => {
    for (let length = 1; length < good.length; length += 1) {
      expect(decodeFailure(good.subarray(0, length)).code).toBe('STREAM_LOG_CORRUPT');
    }
  });

  it('is refused when something else stands between records', () => {
    const error = decodeFailure(Buffer.concat([good, Buffer.from('\0\0\0\0\0\0\0\0')]));
    expect(error.code).toBe('STREAM_LOG_CORRUPT');
    expect(error.message).toContain(`at byte ${source.position + good.length}`);
    expect(error.message).toContain('Restore');
  });

  it('of a newer version says what to do', () => {
    const newer = Buffer.from(good);
    newer.writeUInt16BE(3, 4);
    const error = decodeFailure(newer);
    expect(error.code).toBe('STREAM_LOG_VERSION_UNKNOWN');
    expect(error.message).toContain('version 3');
    expect(error.message).toContain('deploy the newer build');
  });

  it('of the version before, which nothing reads any more, says what to do', () => {
    const error = decodeFailure(framed(2, Buffer.from('000000027b7d', 'hex'), 1));
    expect(error.code).toBe('STREAM_LOG_VERSION_UNKNOWN');
    expect(error.message).toContain('version 1');
    expect(error.message).toContain('millrace reset');
  });
});

describe('hostile bytes with a right checksum', () => {
  const whole = sectionsIn(encodeRecord(sampleRecords['commit'] as LogRecord));
  const [head, summary, state] = whole as [ForgedSection, ForgedSection, ForgedSection];
  const commit = (...sections: ForgedSection[]): Buffer => forged(2, sections);
  const bytes = (text: string): Buffer => Buffer.from(text, 'hex');

  it('are read when they are what a writer makes', () => {
    expect(decodeRecords(commit(...whole), source)).toHaveLength(1);
  });

  it('are read without a section of unknown type that may be left out', () => {
    const later = { type: 99, flags: 0, body: Buffer.from('whatever') };
    const [decoded] = decodeRecords(commit(later, ...whole, later), source);
    expect(comparable(decoded?.record as LogRecord)).toEqual(
      comparable(sampleRecords['commit'] as LogRecord),
    );
  });

  it('are refused with a section of unknown type that must be understood', () => {
    const error = decodeFailure(commit(...whole, { type: 99, body: Buffer.alloc(0) }));
    expect(error.code).toBe('STREAM_LOG_VERSION_UNKNOWN');
    expect(error.message).toContain('type 99');
  });

  it.each<[string, Buffer, RegExp]>([
    ['no sections', framed(2, Buffer.alloc(0)), /without its section commit/],
    ['half a section', framed(2, Buffer.alloc(7)), /longer than its record/],
    ['a section beyond the record', framed(2, bytes('00010100ffffffff')), /longer than its record/],
    ['an unknown kind', forged(6, whole), /kind is 6/],
    ['no kind', forged(0, whole), /kind is 0/],
    ['another kind in the frame', forged(4, whole), /section commit: a seal has none/],
    ['unknown flags', commit({ ...head, flags: 3 }, summary), /flags 3/],
    ['no summary', commit(head), /without its section summary/],
    ['a second summary', commit(head, summary, summary), /section summary: there is a second/],
    ['a missing field', commit({ ...head, body: head.body.subarray(0, 3) }, summary), /commitId/],
    [
      'a field too many',
      commit({ ...head, body: Buffer.concat([head.body, bytes('00')]) }, summary),
      /section commit: 1 bytes are behind its last field/,
    ],
    ['a number of too many bytes', commit({ type: 1, body: bytes('ff'.repeat(20)) }), /commit/],
    ['an empty section', commit({ ...state, body: Buffer.alloc(0) }), /section state: store/],
    ['a text beyond its section', commit({ ...state, body: bytes('0a41') }), /store is cut short/],
    [
      'a list of more items than there are bytes',
      commit({ type: 6, body: bytes('ffffffff0f') }),
      /section deadLetters: deadLetters is cut short/,
    ],
    ['an unknown choice', commit({ type: 7, body: bytes('0100000900') }), /gaps: reason/],
    ['a flag that is neither', commit({ type: 7, body: bytes('0100000102') }), /gaps: events/],
    ['the summary of another commit', otherSummary(), /section summary: commit is 1/],
  ])('are refused, and the field named: %s', (_what, forgery, named) => {
    const error = decodeFailure(forgery);
    expect(error.code).toBe('STREAM_LOG_CORRUPT');
    expect(error.details['position']).toBe(source.position);
    expect(error.message).toMatch(named);
  });

  function otherSummary(): Buffer {
    const [, other] = sectionsIn(encodeRecord(sampleRecords['commit-tick'] as LogRecord));
    return commit(head, other as ForgedSection);
  }

  it('cannot ask for more memory than they take', () => {
    const forgery = commit(...whole);
    forgery.writeUInt32BE(0xffff_ffff, 8);
    expect(decodeFailure(forgery).code).toBe('STREAM_LOG_CORRUPT');
  });

  it('are refused where a record ends with another length than it begins with', () => {
    const forgery = commit(...whole);
    forgery.writeUInt32BE(20, forgery.length - 4);
    const error = decodeFailure(forgery);
    expect(error.code).toBe('STREAM_LOG_CORRUPT');
    expect(error.message).toContain('20 at its end');
  });
});
