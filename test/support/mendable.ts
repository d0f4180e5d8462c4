/** A topology with two functions that fail on some events until they are mended. */
import { Type } from 'typebox';
import {
  Timestamp,
  count,
  minutes,
  seconds,
  reduce,
  topology,
  tumbling,
  type Topology,
} from '../../shared/dataflow';

export interface Reading {
  readonly id: number;
  readonly sensor: string;
  readonly time: number;
  readonly value: number;
}

const reading = Type.Object({
  id: Type.Integer(),
  sensor: Type.String(),
  time: Timestamp(),
  value: Type.Integer(),
});

const firstMs = Date.UTC(2026, 0, 1);

export function someReadings(number: number, fromMs = firstMs): Reading[] {
  return Array.from({ length: number }, (_, id) => ({
    id,
    sensor: `sensor-${id % 3}`,
    time: fromMs + id * 500,
    value: id % 17,
  }));
}

/** Readings whose id ends in 5 fail while they are shaped, in 7 while they are summed up. */
export class Mendable {
  isMended = false;
  readonly topology: Topology;

  /** @param options.isQuietClosed wall clock closes windows where input has ceased */
  constructor(options: { readonly maxAttempts?: number; readonly isQuietClosed?: boolean } = {}) {
    const failUnlessMended = (isBad: boolean): void => {
      if (isBad && !this.isMended) throw new Error('not mended yet');
    };
    this.topology = topology(
      'readings',
      (t) => {
        const shaped = t
          .source('readings', {
            schema: reading,
            eventTime: (event) => event.time,
            outOfOrderness: minutes(10),
            ...(options.isQuietClosed === true && {
              quiet: { after: seconds(30), maxDelay: minutes(10) },
            }),
          })
          .map((event) => {
            failUnlessMended(event.id % 10 === 5);
            return event;
          });
        shaped.toLake('readings_shaped', { schema: reading });
        shaped
          .keyBy((event) => event.sensor, { name: 'sensor' })
          .window(tumbling(minutes(1)), { name: 'windows', grace: minutes(10), late: 'drop' })
          .aggregate({
            readings: count(),
            // No selector, which would fail in the stage before: whole values travel to it.
            total: reduce(0, (total, event) => {
              failUnlessMended(event.id % 10 === 7);
              return total + event.value;
            }),
          })
          .map((window) => ({
            sensor: window.key,
            minute: window.windowStart,
            readings: window.readings,
            total: window.total,
          }))
          .toLake('sensor_minutes', {
            schema: Type.Object({
              sensor: Type.String(),
              minute: Timestamp(),
              readings: Type.Integer(),
              total: Type.Number(),
            }),
          });
      },
      { deadLetters: { maxAttempts: options.maxAttempts ?? 5 } },
    );
  }
}

/** Rows of both tables as sorted texts, once all is mended: a plain fold. */
export function expectedReadings(readings: readonly Reading[]): {
  readonly shaped: string[];
  readonly minutes: string[];
} {
  const windows = new Map<string, [string, number, number, number]>();
  for (const { sensor, time, value } of readings) {
    const minute = Math.floor(time / 60_000) * 60_000;
    const before = windows.get(`${minute} ${sensor}`) ?? [sensor, minute, 0, 0];
    windows.set(`${minute} ${sensor}`, [sensor, minute, before[2] + 1, before[3] + value]);
  }
  return {
    shaped: readings
      .map(({ id, sensor, time, value }) => JSON.stringify([id, sensor, time, value]))
      .sort(),
    minutes: Array.from(windows.values(), (row) => JSON.stringify(row)).sort(),
  };
}
