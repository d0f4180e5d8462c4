// Goal: every ingest form gives its events in order, and no bytes whatever throw.
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { decodeMessage } from '../../../shared/ingest/decode';

const values = (body: Uint8Array): unknown[] =>
  decodeMessage(body).map((event) => (event.ok ? event.value : `failed: ${event.reason}`));

describe('decodeMessage', () => {
  it.each([
    ['a JSON object', '{"a":1}', [{ a: 1 }]],
    ['a JSON object with a byte order mark', '\ufeff{"a":1}', [{ a: 1 }]],
    ['an array, one event an element', '[{"a":1},{"a":2}]', [{ a: 1 }, { a: 2 }]],
    ['an empty array: no events', '[]', []],
    ['NDJSON', '{"a":1}\n{"a":2}\n', [{ a: 1 }, { a: 2 }]],
    ['NDJSON with CRLF and blank lines', '{"a":1}\r\n\r\n{"a":2}\r\n', [{ a: 1 }, { a: 2 }]],
    ['NDJSON of arrays', '[1]\n[2]', [[1], [2]]],
    ['a pretty-printed object', '{\n "a": {\n "b": 1\n}\n}', [{ a: { b: 1 } }]],
    ['a string holding braces and an escaped newline', '{"a":"}\\n{"}', [{ a: '}\n{' }]],
    ['a scalar', '3', [3]],
  ])('reads %s', (_name, text, expected) => {
    expect(values(Buffer.from(text))).toEqual(expected);
    expect(values(gzipSync(Buffer.from(text)))).toEqual(expected);
  });

  it('fails the broken line alone, in its place, with its bytes', () => {
    const events = decodeMessage(Buffer.from('{"a":1}\n{"a":\n{"a":3}'));
    expect(events.map((event) => event.ok)).toEqual([true, false, true]);
    const broken = events[1];
    expect(broken?.ok === false && Buffer.from(broken.payload).toString()).toBe('{"a":');
  });

  it.each([
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), /UTF-8/],
    ['an empty body', Buffer.alloc(0), /empty/],
    ['text that is no JSON', Buffer.from('hello'), /not JSON/],
    ['a torn gzip', gzipSync(Buffer.from('{"a":1}')).subarray(0, 12), /gzip/],
    [
      'a small message of a million events',
      gzipSync(Buffer.from('1\n'.repeat(1_000_000))),
      /more than/,
    ],
    [
      'an array of a million events',
      gzipSync(Buffer.from(`[${'1,'.repeat(999_999)}1]`)),
      /more than/,
    ],
    ['a gzip bomb', gzipSync(Buffer.alloc(65 * 1024 * 1024)), /gzip/],
  ])('fails %s as one event with all its bytes', (_name, body, reason) => {
    const events = decodeMessage(body);
    expect(events).toHaveLength(1);
    const [event] = events;
    if (event === undefined || event.ok) throw new Error('it decoded');
    expect(event.reason).toMatch(reason);
    expect(event.payload).toEqual(body);
  });

  it('never throws and always gives the same number of events', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
        expect(decodeMessage(body).length).toBe(decodeMessage(body).length);
      }),
    );
  });

  it('gives back what was packed, whatever the values', () => {
    const anObject = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(fc.array(anObject, { minLength: 2 }), (objects) => {
        const expected = JSON.parse(JSON.stringify(objects)) as unknown;
        const lines = objects.map((value) => JSON.stringify(value)).join('\n');
        expect(values(Buffer.from(lines))).toEqual(expected);
        expect(values(Buffer.from(JSON.stringify(objects)))).toEqual(expected);
      }),
    );
  });
});
