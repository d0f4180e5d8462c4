/** What the end-to-end benchmark runs: one stage, and two with an exchange between. */
import { Type } from 'typebox';
import { count, minutes, seconds, sum, Timestamp, topology, tumbling } from '../shared/dataflow';

const reading = Type.Object({
  id: Type.Integer(),
  device: Type.String(),
  time: Timestamp(),
  value: Type.Number(),
  filler: Type.String(),
});
const row = Type.Object({
  id: Type.Integer(),
  device: Type.String(),
  time: Timestamp(),
  value: Type.Number(),
});
const total = Type.Object({
  device: Type.String(),
  minute: Timestamp(),
  readings: Type.Integer(),
  total: Type.Number(),
});
const flush = { rowsMax: 100_000, ageMaxMs: 60_000 };
const options = {
  schema: reading,
  eventTime: (event: { time: number }) => event.time,
  outOfOrderness: seconds(30),
};

const oneStage = topology('one-stage', (t) => {
  t.source('one-stage', options)
    .filter((event) => event.value >= 0)
    .map(({ device, id, time, value }) => ({ id, device, time, value }))
    .toLake('readings', { schema: row, flush });
});

const packed = topology('packed', (t) => {
  t.source('packed', options)
    .keyBy((event) => event.device, { name: 'device', isPartitionedBySource: true })
    .window(tumbling(minutes(1)), { name: 'windows' })
    .aggregate({ readings: count(), total: sum((event) => event.value) })
    .map((window) => ({
      device: window.key,
      minute: window.windowStart,
      readings: window.readings,
      total: window.total,
    }))
    .toLake('packed_totals', { schema: total, flush });
});

const twoStages = topology('two-stages', (t) => {
  t.source('two-stages', options)
    .keyBy((event) => event.device, { name: 'device-exchange' })
    .window(tumbling(minutes(1)), { name: 'windows' })
    .aggregate({ readings: count(), total: sum((event) => event.value) })
    .map((window) => ({
      device: window.key,
      minute: window.windowStart,
      readings: window.readings,
      total: window.total,
    }))
    .toLake('totals', { schema: total, flush });
});

export const topologies = [oneStage, packed, twoStages];
