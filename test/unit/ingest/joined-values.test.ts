// Goal: messages that are read together are what they are when each is read by itself, whatever they hold.
import { MessageOpener, openMessage, type DecodedEvent } from '../../../shared/ingest/decode';
import { JoinedValues, notThere } from '../../../shared/ingest/joined-values';

const mark = 'mark-of-nobody';

function eventsOf(
  opener: { open(body: Uint8Array): ReturnType<typeof openMessage> },
  body: Buffer,
) {
  const events = opener.open(body);
  const at = (index: number): DecodedEvent => events.at(index);
  return Array.from({ length: events.length }, (_, index) => [
    at(index),
    Buffer.from(events.bytesOf(index)).toString('latin1'),
  ]);
}

/** What comes of messages that are expected, and what of each alone. */
function expectSame(texts: readonly (string | Buffer)[]): void {
  const bodies = texts.map((text) => (typeof text === 'string' ? Buffer.from(text) : text));
  const ahead = new MessageOpener(mark);
  ahead.expect(bodies.map((body) => ({ body })));
  for (const body of bodies) {
    expect(eventsOf(ahead, body)).toEqual(eventsOf({ open: openMessage }, body));
  }
}

describe('messages that are read together', () => {
  it('are the values that they are alone: objects, arrays, texts, numbers, blanks around them', () => {
    expectSame(['{"a":1}', '[1,2]', '"x"', ' 3 ', '\n{"b":[{}]}\n', '[]', 'null', '{"a":1,"a":2}']);
  });

  it.each([
    ['a bracket opened in one and closed in another', ['[1', '2]', '3,4']],
    ['the same, and as many values as messages', ['[1', '2]', '3,4,5']],
    ['an object in two halves', ['{"a":[{"b":1}', '{"c":2}]}', '{},{}']],
    ['a text without end', ['"abc', 'def"', '1,2']],
    ['a text that ends with an escape', ['"abc\\', '"', '1']],
    ['several values in one', ['1 2', '3', '4']],
    ['several values with commas', ['1,2', '3']],
    ['nothing at all', ['', '{}', '']],
    ['an inexact number', ['{"id":12345678901234567890}', '{"id":1}']],
    ['bytes that are not UTF-8', [Buffer.from([0x22, 0xff, 0x22]), '{}']],
    ['a character cut in two', [Buffer.from([0x22, 0xc3]), Buffer.from([0xa9, 0x22])]],
    ['a byte order mark', ['\ufeff{"a":1}', '{"a":2}']],
    ['a name of the language', ['{"__proto__":{"x":1}}', '{"constructor":1}']],
  ])('fall apart as they do alone: %s', (_, odd) => {
    const sound = Array.from({ length: 6 }, (_unused, index) => `{"sound":${index}}`);
    expectSame([...odd, ...sound]);
    expectSame([...sound, ...odd, ...sound]);
  });

  it('cannot pass for others by a mark of their own', () => {
    const escaped = `"\\u006d${mark.slice(1)}"`;
    for (const word of [`"${mark}"`, escaped]) {
      // Enough values, each mark in a place where one is wanted; but a bracket goes over two messages.
      const values = new JoinedValues('another', 1_000);
      const bodies = ['[1', '2]', `3,${word},4`, '5'].map((text) => ({ body: Buffer.from(text) }));
      values.expect(bodies);
      for (const { body } of bodies) expect(values.take(body)).toBe(notThere);
    }
  });

  it('are given out once, and read anew where they are asked for again', () => {
    const bodies = Array.from({ length: 8 }, (_, index) => Buffer.from(`{"index":${index}}`));
    const opener = new MessageOpener(mark);
    opener.expect(bodies.map((body) => ({ body })));
    const [first = Buffer.alloc(0)] = bodies;
    const value = opener.open(first).at(0);
    (value as { value: { index: number } }).value.index = 99;
    expect(opener.open(first).at(0)).toEqual({ ok: true, value: { index: 0 } });
  });

  it('may be left out, and others may come between', () => {
    const bodies = Array.from({ length: 100 }, (_, index) => Buffer.from(`{"index":${index}}`));
    const opener = new MessageOpener(mark);
    opener.expect(bodies.map((body) => ({ body })));
    for (const [index, body] of bodies.entries()) {
      if (index % 3 === 0) continue;
      if (index % 7 === 0)
        expect(opener.open(Buffer.from('7')).at(0)).toEqual({ ok: true, value: 7 });
      expect(opener.open(body).at(0)).toEqual({ ok: true, value: { index } });
    }
  });

  it('are what they are alone when they are made of pieces at random', () => {
    let state = 5;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '"a"',
      '1',
      ' ',
      `"${mark}"`,
      '{"a":1}',
      '\n',
    ];
    for (let round = 0; round < 400; round += 1) {
      const texts = Array.from({ length: 4 + random(12) }, () =>
        random(3) > 0
          ? '{"a":1}'
          : Array.from({ length: 1 + random(5) }, () => pieces[random(pieces.length)]).join(''),
      );
      expectSame(texts);
    }
  });
});
