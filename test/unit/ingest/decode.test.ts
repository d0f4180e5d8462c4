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

  it('takes a pretty-printed array of 20,001 objects, which has more than 100,000 lines', () => {
    const list = Array.from({ length: 20_001 }, (_, a) => ({ a, b: 1, c: 2, d: 3 }));
    const body = Buffer.from(JSON.stringify(list, null, 1));
    expect(values(body)).toEqual(list);
    expect(values(gzipSync(body))).toEqual(list);
  });

  it('takes one event among any number of blank lines', () => {
    expect(values(Buffer.from(`{"a":1}${'\n'.repeat(100_002)}`))).toEqual([{ a: 1 }]);
  });

  it.each([
    ['16 million brackets, nested', '['.repeat(16_000_000)],
    ['16 million brackets beside each other', `{"a":[${'[],'.repeat(8_000_000)}[]]}`],
    ['two million numbers in one event', `{"a":[${'1,'.repeat(2_000_000)}1]}`],
    ['a million torn lines', '{"a":\n'.repeat(1_000_000)],
  ])('refuses %s in a small message before anything is built', (_name, text) => {
    const [event, ...rest] = decodeMessage(gzipSync(text));
    expect(rest).toEqual([]);
    expect(event).toMatchObject({ ok: false });
  });

  it('keeps the events beside one that is nested too deep or holds too many values', () => {
    const deep = `{"a":${'['.repeat(1_000)}${']'.repeat(1_000)}}`;
    const many = `{"a":[${'1,'.repeat(1_000_000)}1]}`;
    const deepest = `{"a":${'['.repeat(999)}${']'.repeat(999)}}`;
    const events = decodeMessage(Buffer.from(`{"b":1}\n${deep}\n${many}\n${deepest}\n{"b":2}`));
    expect(events.map(({ ok }) => ok)).toEqual([true, false, false, true, true]);
  });

  it('treats keys of the language as data', () => {
    const text = '{"__proto__":{"x":1},"constructor":{"prototype":2},"toString":3}';
    const [event] = decodeMessage(Buffer.from(text));
    expect(event?.ok === true && JSON.stringify(event.value)).toBe(text);
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  it('fails an event whose bytes are not UTF-8 alone, in its place', () => {
    const broken = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
    const body = Buffer.concat([Buffer.from('{"a":1}\n'), broken, Buffer.from('\n{"a":3}')]);
    const events = decodeMessage(body);
    expect(events.map(({ ok }) => ok)).toEqual([true, false, true]);
    expect(events[1]).toMatchObject({ payload: broken });
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
