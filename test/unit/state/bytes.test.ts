// Goal: a value comes back from its bytes exactly as it went in, also where JSON would change it.
import fc from 'fast-check';
import { ByteReader, ByteWriter, textBytes, ValueError } from '../../../shared/state/bytes';

const anything = fc.anything({
  withBigInt: true,
  values: [
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('a', 'ä', '語', '\ud83d', '\ude00') }),
    fc.double(),
    fc.maxSafeInteger(),
    fc.constantFrom(-0, NaN, Infinity, -Infinity, null, undefined, true, 2 ** 53, -(2 ** 31)),
    fc.bigInt(),
  ],
});

function roundTrip(value: unknown): unknown {
  const writer = new ByteWriter();
  writer.value(value);
  const reader = new ByteReader(writer.copy());
  const back = reader.value();
  expect(reader.isAtEnd).toBe(true);
  return back;
}

describe('values as bytes', () => {
  it('come back as they were: −0, infinities, half surrogate pairs and undefined too', () => {
    fc.assert(
      fc.property(anything, (value) => expect(roundTrip(value)).toStrictEqual(plain(value))),
    );
  });

  it('keep a field called __proto__ as a field', () => {
    const value: unknown = JSON.parse('{"__proto__":{"a":1},"b":2}');
    expect(JSON.stringify(roundTrip(value))).toBe('{"__proto__":{"a":1},"b":2}');
  });

  it.each([
    ['a Date', new Date(0)],
    ['a Map', new Map()],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
  ])('refuse %s: it would not come back as what it was', (_what, value) => {
    expect(() => new ByteWriter().value({ deep: [value] })).toThrow(ValueError);
  });

  it('are refused, never read wrongly, where bytes are missing', () => {
    fc.assert(
      fc.property(anything, fc.nat(), (value, cut) => {
        const writer = new ByteWriter();
        writer.value(value);
        const bytes = writer.copy();
        const reader = new ByteReader(bytes.subarray(0, cut % bytes.length));
        expect(() => reader.value()).toThrow(ValueError);
      }),
    );
  });

  it('take as many bytes as is said of a text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const writer = new ByteWriter();
        writer.text(text);
        expect(writer.length).toBe(textBytes(text));
      }),
    );
  });
});

/** Without prototypes other than an object's own. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return Array.from(value, plain);
  const copy: Record<string, unknown> = {};
  for (const [name, part] of Object.entries(value)) {
    Object.defineProperty(copy, name, {
      value: plain(part),
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
  return copy;
}
