// Goal: a Parquet file that is damaged is an error with its name, never other values, and never a hang.
import fc from 'fast-check';
import { encodeFile } from '../../../shared/lake/encode-file';
import { readParquet } from '../../../shared/lake/parquet/read-parquet';
import { readFileRows } from '../../../shared/lake/read-file';
import { parquetMetadata } from 'hyparquet';
import { ByteWriter } from 'hyparquet-writer';
import { writeMetadata } from 'hyparquet-writer/src/metadata.js';
import { foreignParquet, long, text } from '../../support/foreign-parquet';
import { flightsPlan } from '../../support/lake-memory';
import { batchOf } from '../../support/lake-rows';

test('a column with fewer values than the file has rows is no column of nulls', async () => {
  const whole = foreignParquet(
    { name: 'id', element: long, values: [1n, 2n] },
    { name: 'note', element: text, values: ['a', 'b'] },
  );
  const metadata = parquetMetadata(whole.slice().buffer);
  const writer = new ByteWriter();
  writer.appendBytes(whole.subarray(0, whole.length - 8 - metadata.metadata_length));
  writeMetadata(writer, {
    ...metadata,
    num_rows: 5n,
    row_groups: metadata.row_groups.map((group) => ({ ...group, num_rows: 5n })),
  });
  writer.appendUint32(0x31524150);
  const reading = readParquet('lake/a.parquet', writer.getBytes());
  await expect(reading).rejects.toMatchObject({ code: 'STREAM_FILE_UNREADABLE' });
  await expect(reading).rejects.toThrow(/lake\/a\.parquet.*2 values for 5 rows/);
});

test('texts that are not UTF-8 are not replaced', async () => {
  const element = { type: 'BYTE_ARRAY', repetition_type: 'REQUIRED' } as const;
  const bytes = foreignParquet({ name: 'note', element, values: [Uint8Array.of(0x61, 0xff)] });
  await expect(readParquet('a.parquet', bytes)).rejects.toMatchObject({
    code: 'STREAM_FILE_UNREADABLE',
  });
});

test('a file with some bytes changed is read or refused by name', async () => {
  const { bytes } = await encodeFile(flightsPlan, batchOf('task', 1, 40).rows);
  const damage = fc.record({
    at: fc.nat(bytes.length - 1),
    value: fc.nat(255),
    cutTo: fc.option(fc.nat(bytes.length - 1)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (changes) => {
      let damaged = Uint8Array.from(bytes);
      for (const { at, cutTo, value } of changes) {
        damaged[at] = value;
        if (cutTo !== null) damaged = damaged.slice(0, cutTo);
      }
      const file = { name: 'lake/damaged.parquet', bytes: damaged, partitionValues: {} };
      try {
        await readFileRows(flightsPlan, file);
      } catch (error) {
        expect(error).toMatchObject({ code: 'STREAM_FILE_UNREADABLE' });
        expect(String(error)).toContain('lake/damaged.parquet');
      }
    }),
    { numRuns: 400, seed: 7 },
  );
}, 30_000);
