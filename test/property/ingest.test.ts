// Goal: a message's events are those that a plain reading of it gives, whatever its form; bad ones
// between good ones cost one dead letter each, in their place; and no byte is lost on the way.
// Method: messages are made from values that are known; JSON.parse is the reference.
import fc from 'fast-check';
import { gzipSync } from 'node:zlib';
import { openMessage, type DecodedEvent } from '../../shared/ingest/decode';
import { ingestLimits } from '../../shared/ingest/limits';
import { splitEvents } from '../../shared/ingest/split-events';

const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown);
const anObject = fc.dictionary(fc.string(), json).map((value) => JSON.stringify(value));
const indents = fc.constantFrom(0, 1, 2, 4);

/** One event as it stands in a message, and what must become of it. */
interface Piece {
  readonly text: string;
  readonly value?: unknown;
}

const nested: fc.Arbitrary<Piece> = fc
  .tuple(
    fc.oneof(
      anObject,
      fc.array(json).map((list) => JSON.stringify(list)),
    ),
    indents,
  )
  .map(([text, indent]) => {
    const value: unknown = JSON.parse(text);
    return { text: JSON.stringify(value, null, indent), value };
  });

/** Lines that are no JSON, each in a way of its own; none is half of a sound value. */
const badLine = fc
  .constantFrom(
    ...[
      '{"a":',
      '{"a":1',
      '{"a":1,',
      '{"a":"x',
      '{"a":"x\\',
      '{"a":{"b":',
      '{"a":[1',
      '[1,2',
      '[{"a":1}',
    ],
    ...[
      'hello',
      'hello {"a":1}',
      '{"a":tru}',
      '{"a":1},',
      '{"a":1} x',
      '{"a":1}}',
      '{"a":1]}',
      '{a:1}',
    ],
    ...['"text', '1 2', 'NaN', '{"a":1 "b":2}', "{'a':1}", '{"a":01}', '{"a":"\u0001"}', '// no'],
  )
  .map((text): Piece => ({ text }));

/** No two bad ones beside each other: what a broken value swallows of another is in its letter. */
const sequence = fc
  .array(fc.tuple(fc.option(badLine), nested), { minLength: 1, maxLength: 12 })
  .chain((pairs) => fc.option(badLine).map((last) => [...pairs.flat(), last]))
  .map((pieces) => pieces.filter((piece) => piece !== null))
  // One array alone is a message of its elements.
  .filter((pieces) => pieces.length > 1 || !pieces[0]?.text.startsWith('['));

const badElement = fc
  .constantFrom(
    'tru',
    '{"a":tru}',
    '1 2',
    '{a:1}',
    '"x" "y"',
    "{'a':1}",
    'NaN',
    '01',
    '{"a" 1}',
    '',
  )
  .map((text): Piece => ({ text }));

const elements = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc
        .tuple(json, indents)
        .map(([value, indent]): Piece => ({ text: JSON.stringify(value, null, indent), value })),
    },
    { weight: 1, arbitrary: badElement },
  ),
  { minLength: 2, maxLength: 12 },
);

const blanks = fc.constantFrom('', ' ', '\t', '\n', '\r\n', ' \n ');

function check(body: Buffer, pieces: readonly Piece[]): void {
  for (const bytes of [body, gzipSync(body)]) {
    const events = openMessage(bytes);
    const isAny = pieces.some(({ value }) => value !== undefined);
    if (!isAny) {
      expect(events.length).toBe(1);
      expect(events.at(0)).toMatchObject({ ok: false, payload: bytes });
      continue;
    }
    const found = Array.from({ length: events.length }, (_, index) => events.at(index));
    expect(found.map(shown)).toEqual(
      pieces.map(({ text, value }) => (value === undefined ? { bad: text.trim() } : { value })),
    );
    pieces.forEach(({ text }, index) => {
      expect(Buffer.from(events.bytesOf(index)).toString()).toBe(text.trim());
    });
  }
}

function shown(event: DecodedEvent): unknown {
  return event.ok ? { value: event.value } : { bad: Buffer.from(event.payload).toString() };
}

it('values one after the other, pretty-printed or not, with bad lines between them', () => {
  fc.assert(
    fc.property(
      sequence,
      fc.constantFrom('\n', '\r\n', '\n\n', ' \t\n'),
      fc.boolean(),
      fc.constantFrom('', '\ufeff', '\n', '\ufeff\n'),
      (pieces, between, isEnded, before) => {
        const texts = pieces.map(({ text }) => text);
        check(Buffer.from(`${before}${texts.join(between)}${isEnded ? between : ''}`), pieces);
      },
    ),
    { numRuns: 600 },
  );
});

it('elements of an array, with bad ones between them', () => {
  fc.assert(
    fc.property(elements, blanks, blanks, (pieces, before, after) => {
      const texts = pieces.map(({ text }) => `${before}${text}${after}`);
      check(Buffer.from(`${before}[${texts.join(',')}]${after}`), pieces);
    }),
    { numRuns: 600 },
  );
});

it('an array that is cut short keeps the elements before the cut', () => {
  fc.assert(
    fc.property(fc.array(anObject, { minLength: 1 }), fc.constantFrom('', '\n'), (texts, blank) => {
      const pieces = texts.map((text): Piece => ({ text, value: JSON.parse(text) as unknown }));
      const cut = { text: '{"a":[1,{"b":"' };
      check(Buffer.from(`[${[...texts, cut.text].join(`,${blank}`)}`), [...pieces, cut]);
    }),
  );
});

it('objects and arrays with nothing between them', () => {
  fc.assert(
    fc.property(fc.array(nested, { minLength: 2 }), (pieces) => {
      check(Buffer.from(pieces.map(({ text }) => text).join('')), pieces);
    }),
  );
});

it('any JSON whatever is what JSON.parse says that it is', () => {
  fc.assert(
    fc.property(json, indents, blanks, blanks, (value, indent, before, after) => {
      const text = `${before}${JSON.stringify(value, null, indent)}${after}`;
      const expected = Array.isArray(value) ? (value as unknown[]) : [value];
      const events = openMessage(Buffer.from(text));
      expect(Array.from({ length: events.length }, (_, index) => shown(events.at(index)))).toEqual(
        expected.map((one) => ({ value: one })),
      );
      // Both ways of reading agree: the one for small messages and the one for all others.
      const { bounds, faults } = splitEvents(Buffer.from(text), 0, ingestLimits);
      expect([bounds.length / 2, faults.size]).toEqual([expected.length, 0]);
    }),
    { numRuns: 600 },
  );
});

it('bodies that are no JSON do not become JSON beside each other', () => {
  for (const text of ['{"a":1\n"b":2}\n1,2', '["a\n1,2', '{"a":1,"b":2},1,2']) {
    const events = openMessage(Buffer.from(text));
    for (let index = 0; index < events.length; index += 1) expect(events.at(index).ok).toBe(false);
  }
});

it('no byte is lost, and places follow each other, whatever the bytes', () => {
  const unit = fc.constantFrom(
    ...[
      '{',
      '}',
      '[',
      ']',
      '"',
      ',',
      ':',
      '\n',
      ' ',
      '1',
      'a',
      '\\',
      '{"a":1}',
      '\n{',
      '\n[',
      ']\n',
    ],
  );
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 60 }), (units) => {
      const bytes = Buffer.from(units.join(''));
      const { bounds } = splitEvents(bytes, 0, ingestLimits);
      let outside = '';
      let at = 0;
      for (let place = 0; place < bounds.length; place += 2) {
        const [start, end] = [bounds[place] ?? 0, bounds[place + 1] ?? 0];
        expect(start).toBeGreaterThanOrEqual(at);
        expect(end).toBeGreaterThanOrEqual(start);
        outside += bytes.toString('utf8', at, start);
        at = end;
      }
      outside += bytes.toString('utf8', at);
      expect(outside).toMatch(/^[\s,[\]]*$/);
    }),
    { numRuns: 3_000 },
  );
});
