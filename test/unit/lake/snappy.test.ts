import fc from 'fast-check';
import { snappyUncompress } from 'hyparquet';
import { compressSnappy } from '../../../shared/lake/parquet/snappy';

function decompress(compressed: Uint8Array, length: number): Uint8Array {
  const output = new Uint8Array(length);
  snappyUncompress(compressed, output);
  return output;
}

function roundTrip(input: Uint8Array): number {
  const compressed = compressSnappy(input);
  expect(Buffer.compare(decompress(compressed, input.length), input)).toBe(0);
  return compressed.length;
}

/** Pieces that repeat, so that matches of every length and distance occur. */
const repeating = fc
  .array(
    fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 400 })),
    { minLength: 1, maxLength: 30 },
  )
  .map((pieces) =>
    Buffer.concat(pieces.flatMap(([piece, times]) => Array.from({ length: times }, () => piece))),
  );

test('hyparquet decompresses what was compressed', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 3_000 }), repeating), (input) => {
      if (input.length > 0) roundTrip(input);
    }),
    { numRuns: 300 },
  );
});

test.each([1, 14, 15, 16, 59, 60, 61, 255, 256, 257, 65_535, 65_536, 65_537, 200_000])(
  '%i bytes that do not repeat, that repeat, and that are all the same',
  (length) => {
    let state = 1;
    const noise = Uint8Array.from({ length }, () => {
      state = Math.imul(state, 1_103_515_245) + 12_345;
      return state >>> 24;
    });
    expect(roundTrip(noise)).toBeLessThanOrEqual(32 + length + length / 6);
    roundTrip(Uint8Array.from({ length }, (_, index) => index % 251));
    roundTrip(new Uint8Array(length));
  },
);

test('a view into a larger buffer is read at its own place', () => {
  const whole = Buffer.from('................abcabcabcabcabcabcabcabcabcabcabcabc....');
  roundTrip(whole.subarray(16, 52));
});

test('repetition is found', () => {
  expect(roundTrip(Buffer.from('flights '.repeat(1_000)))).toBeLessThan(600);
});
