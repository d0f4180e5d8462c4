// Goal: a wrong field is a compile error. `tsc --noEmit` checks the expectations below; the suite
// checks what remains for run time: every fault of a definition, reported together.
import { Type } from 'typebox';
import { StreamError } from '../../../shared/model/errors';
import { count, hours, sum, Timestamp, topology, tumbling } from '../../../shared/dataflow';

const reading = Type.Object({ sensor: Type.String(), time: Timestamp(), celsius: Type.Number() });
const options = { schema: reading, eventTime: (event: { time: number }) => event.time };

function neverRun(): void {
  topology('typed', (t) => {
    const readings = t.source('readings', options);
    // @ts-expect-error -- no such field
    readings.filter((event) => event.fahrenheit > 0);
    // @ts-expect-error -- an object is no key
    readings.keyBy((event) => ({ of: event.celsius }), { name: 'warmth' });
    // @ts-expect-error -- the row lacks a column of the table
    readings.toLake('hot', { schema: Type.Object({ missing: Type.String() }) });
    // @ts-expect-error -- no such column to partition by
    readings.toLake('warm', { schema: reading, partitionBy: ['country'] });
    const windows = readings
      .keyBy((event) => event.sensor, { name: 'sensor' })
      .window(tumbling(hours(1)), { name: 'windows' })
      .aggregate({ readings: count(), warmth: sum((event) => event.celsius) });
    windows.map((window) => {
      const warmth: number = window.warmth;
      // @ts-expect-error -- no such aggregate
      return warmth + window.coldness;
    });
    // @ts-expect-error -- an aggregate selects a field that is not there
    sum<{ celsius: number }>((event) => event.kelvin);
  });
}

describe('a topology', () => {
  it('reports all faults of its definition together', () => {
    expect(neverRun).toBeInstanceOf(Function);
    const define = (): unknown =>
      topology('Bad Name', (t) => {
        const readings = t.source('readings', { ...options, outOfOrderness: -1 });
        readings.filter(() => true);
        readings.toLake('twice', { schema: reading });
        readings.toLake('twice', { schema: reading });
      });
    expect(define).toThrow(StreamError);
    for (const fault of [/Bad Name/, /twice/, /nothing takes/, /outOfOrderness/]) {
      expect(define).toThrow(fault);
    }
  });
});
