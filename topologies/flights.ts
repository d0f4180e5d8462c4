/**
 * Three million real flights (US, first half of 2001): each valid flight as a row, and a day's
 * figures per airport. Copy this file to begin your own.
 */
import { Type } from 'typebox';
import {
  average,
  count,
  Day,
  days,
  hours,
  max,
  share,
  Timestamp,
  topology,
  tumbling,
} from '../shared/dataflow';

/** An event as the replayer sends it. */
const flight = Type.Object({
  id: Type.Integer({ minimum: 0 }),
  /** Departure, epoch milliseconds. */
  time: Timestamp(),
  /** Minutes; negative: early. */
  delay: Type.Integer(),
  /** Miles. */
  distance: Type.Integer({ minimum: 0 }),
  origin: Type.String({ minLength: 3, maxLength: 4 }),
  destination: Type.String({ minLength: 3, maxLength: 4 }),
});

const cleanFlight = Type.Object({
  id: Type.Integer(),
  month: Type.String(),
  time: Timestamp(),
  origin: Type.String(),
  destination: Type.String(),
  distance: Type.Integer(),
  delay: Type.Integer(),
});

const airportDay = Type.Object({
  origin: Type.String(),
  day: Day(),
  flights: Type.Integer(),
  meanDelay: Type.Number(),
  worstDelay: Type.Integer(),
  /** Share of flights more than 15 minutes late. */
  lateShare: Type.Number(),
});

/** Nobody leaves three hours early: such a record is a mistake. */
const earliestMinutes = -180;
const lateFromMinutes = 15;

const dayOf = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, 10);

export const flights = topology('flights', (t) => {
  const clean = t
    .source('flights', {
      schema: flight,
      eventTime: (event) => event.time,
      outOfOrderness: hours(1),
    })
    .filter((event) => event.delay >= earliestMinutes)
    .map((event) => ({ ...event, month: dayOf(event.time).slice(0, 7) }));

  clean.toLake('flights_clean', { schema: cleanFlight, partitionBy: ['month'] });

  clean
    .keyBy((event) => event.origin, { name: 'origin' })
    .window(tumbling(days(1)), { name: 'days', grace: hours(2), late: 'drop' })
    .aggregate({
      flights: count(),
      meanDelay: average((event) => event.delay),
      worstDelay: max((event) => event.delay),
      lateShare: share((event) => event.delay > lateFromMinutes),
    })
    .map((window) => ({
      origin: window.key,
      day: dayOf(window.windowStart),
      flights: window.flights,
      meanDelay: window.meanDelay ?? 0,
      worstDelay: window.worstDelay ?? 0,
      lateShare: window.lateShare ?? 0,
    }))
    .toLake('airport_days', { schema: airportDay });
});
