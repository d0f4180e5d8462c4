import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { decodeRecords, encodedLength, encodeRecord } from '../../../shared/commit-log/record';
import type { LogRecord } from '../../../shared/model/commit';
import { StreamError } from '../../../shared/model/errors';
import { comparable, sampleRecords } from '../../support/log-records';

const fixtures = join(__dirname, '../../fixtures/commit-log/v1');
const source = { blob: 'commits/t/s/1/0/00000000', position: 1000 };

function failure(work: () => unknown): StreamError {
  try {
    work();
  } catch (error) {
    if (error instanceof StreamError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

/** A record with the given header JSON and section bytes, framed honestly. */
function forged(options: { header: string; sections?: Buffer; kind?: number }): Buffer {
  const header = Buffer.from(options.header);
  const headerLength = Buffer.alloc(4);
  headerLength.writeUInt32BE(header.length);
  const payload = Buffer.concat([headerLength, header, options.sections ?? Buffer.alloc(0)]);
  return framed(payload, options.kind ?? 2);
}

function framed(payload: Buffer, kind: number): Buffer {
  const frame = Buffer.alloc(16);
  frame.write('MLRC', 'latin1');
  frame.writeUInt16BE(1, 4);
  frame.writeUInt16BE(kind, 6);
  frame.writeUInt32BE(payload.length, 8);
  frame.writeUInt32BE(crc32(payload, crc32(frame.subarray(4, 12))), 12);
  return Buffer.concat([frame, payload]);
}

function decodeFailure(bytes: Buffer): StreamError {
  const error = failure(() => decodeRecords(bytes, source));
  expect(error.details).toMatchObject({ blob: source.blob });
  return error;
}

describe('format 1', () => {
  it('refuses to write figures that JSON has no words for, which nobody could read again', () => {
    const { attempt, commit } = sampleRecords;
    const records = [
      { ...attempt, count: Infinity },
      { ...commit, watermarkMs: Number.NaN },
      { ...commit, messages: -1 },
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
    newer.writeUInt16BE(2, 4);
    const error = decodeFailure(newer);
    expect(error.code).toBe('STREAM_LOG_VERSION_UNKNOWN');
    expect(error.message).toContain('version 2');
    expect(error.message).toContain('deploy the newer build');
  });
});

describe('hostile bytes with a right checksum', () => {
  const commit = (change: object): string => {
    const sample = sampleRecords['commit-tick'];
    return JSON.stringify({
      ...sample,
      rows: undefined,
      outbox: undefined,
      sections: [],
      ...change,
    });
  };
  const section = (change: object): object => ({
    sections: [{ type: 'rows', name: 't', count: 1, length: 0, ...change }],
  });

  it('are read when they are what a writer makes', () => {
    expect(decodeRecords(forged({ header: commit({}) }), source)).toHaveLength(1);
  });

  it.each<[string, Buffer]>([
    ['no payload', framed(Buffer.alloc(0), 2)],
    ['a payload shorter than its header length', framed(Buffer.from([0, 0]), 2)],
    ['a header beyond the record', framed(Buffer.from([255, 255, 255, 255, 0]), 2)],
    ['no JSON', forged({ header: '{' })],
    ['null', forged({ header: 'null' })],
    ['a list', forged({ header: '[]' })],
    ['no kind', forged({ header: '{}' })],
    ['an unknown kind', forged({ header: '{"kind":"merge"}' })],
    ['another kind in the frame', forged({ header: commit({}), kind: 4 })],
    ['a missing field', forged({ header: commit({ commitId: undefined }) })],
    ['a fractional count', forged({ header: commit({ messages: 1.5 }) })],
    ['a negative count', forged({ header: commit({ messages: -1 }) })],
    ['a huge number', forged({ header: commit({ committedAtMs: 1e300 }) })],
    ['an unknown reason', forged({ header: commit({ watermarkReason: 'whim' }) })],
    ['a cursor that is none', forged({ header: commit({ from: 7 }) })],
    ['state that is no list', forged({ header: commit({ state: {} }) })],
    [
      'a put that is no pair',
      forged({ header: commit({ state: [{ store: 's', puts: [['k']], deletes: [] }] }) }),
    ],
    [
      'a delete that is no key',
      forged({ header: commit({ state: [{ store: 's', puts: [], deletes: [1] }] }) }),
    ],
    ['a flush position that is none', forged({ header: commit({ flushedThrough: { t: 'x' } }) })],
    ['a section beyond the record', forged({ header: commit(section({ length: 1 })) })],
    ['a section of negative length', forged({ header: commit(section({ length: -1 })) })],
    [
      'sections whose lengths cancel out',
      forged({
        header: commit({
          sections: [
            { type: 'rows', name: 't', count: 1, length: 5 },
            { type: 'rows', name: 't', count: 1, length: -5 },
          ],
        }),
      }),
    ],
    ['a section of an unknown type', forged({ header: commit(section({ type: 'blob' })) })],
    ['bytes that no section claims', forged({ header: commit({}), sections: Buffer.from('x') })],
    ['fields inherited rather than held', forged({ header: '{"kind":"seal","__proto__":{}}' })],
  ])('are refused: %s', (_what, bytes) => {
    const error = decodeFailure(bytes);
    expect(error.code).toBe('STREAM_LOG_CORRUPT');
    expect(error.details['position']).toBe(source.position);
  });

  it('cannot ask for more memory than they take', () => {
    const bytes = forged({ header: commit({}) });
    bytes.writeUInt32BE(0xffff_ffff, 8);
    expect(decodeFailure(bytes).code).toBe('STREAM_LOG_CORRUPT');
  });
});
