import fc from 'fast-check';
import { decodeRecords, encodeRecord } from '../../../shared/commit-log/record';
import { StreamError } from '../../../shared/model/errors';
import { anyRecord, comparable } from '../../support/log-records';

describe('the record codec', () => {
  it('reads back what it wrote, any records in a row', () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { maxLength: 5 }), (records) => {
        const bytes = Buffer.concat(records.map((record) => encodeRecord(record)));
        const decoded = decodeRecords(bytes, { blob: 'b', position: 0 });
        expect(decoded.map(({ record }) => comparable(record))).toEqual(records.map(comparable));
        expect(decoded.at(-1)?.end ?? 0).toBe(bytes.length);
      }),
    );
  });

  it('refuses any damage with an error of the log, and never anything else', () => {
    fc.assert(
      fc.property(anyRecord, fc.nat(), fc.integer({ min: 1, max: 255 }), (record, at, flip) => {
        const bytes = Buffer.from(encodeRecord(record));
        const index = at % bytes.length;
        bytes.writeUInt8(bytes.readUInt8(index) ^ flip, index);
        try {
          decodeRecords(bytes, { blob: 'b', position: 0 });
        } catch (error) {
          expect(error).toBeInstanceOf(StreamError);
          return;
        }
        throw new Error('damage went unnoticed');
      }),
    );
  });

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), (tail) => {
        const bytes = Buffer.concat([Buffer.from('MLRC'), tail]);
        expect(() => decodeRecords(bytes, { blob: 'b', position: 0 })).toThrow(StreamError);
      }),
    );
  });
});
