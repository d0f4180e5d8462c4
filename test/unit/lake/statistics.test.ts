// Goal: the bounds of a file's texts hold for all of them: readers skip files by these.
import fc from 'fast-check';
import { encodeParquet } from '../../../shared/lake/parquet/encode-parquet';
import { fileStatistics } from '../../../shared/lake/statistics';

const column = { name: 'text', type: 'string', nullable: false } as const;
const characters = fc.constantFrom('a', 'é', '\uffff', '😀', '\u{10FFFF}', '\u{10FFFE}');

test('the bounds of texts hold for all of them, also of those that are cut', () => {
  const texts = fc.array(fc.string({ unit: characters, minLength: 28, maxLength: 40 }), {
    minLength: 1,
  });
  fc.assert(
    fc.property(texts, (values) => {
      const rows = values.map((value) => [value]);
      const { columns } = encodeParquet([{ column, place: 0 }], rows);
      const { maxValues, minValues } = JSON.parse(fileStatistics(rows.length, columns)) as {
        minValues: { text: string };
        maxValues: { text: string };
      };
      for (const value of values) {
        const bytes = Buffer.from(value);
        expect(Buffer.compare(Buffer.from(minValues.text), bytes)).toBeLessThanOrEqual(0);
        expect(Buffer.compare(Buffer.from(maxValues.text), bytes)).toBeGreaterThanOrEqual(0);
      }
    }),
    { examples: [[['\u{10FFFF}'.repeat(40)]]] },
  );
});
