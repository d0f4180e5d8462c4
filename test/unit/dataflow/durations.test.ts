// Goal: times that the log cannot hold are faults of the topology, told when it is defined.
import { Type } from 'typebox';
import { count, Timestamp, topology, tumbling, type Topology } from '../../../shared/dataflow';

interface Times {
  readonly size?: number;
  readonly grace?: number;
  readonly outOfOrderness?: number;
  readonly early?: { readonly limit: number };
  readonly quiet?: { readonly after: number; readonly maxDelay: number };
}

function define({ size = 1_000, grace, ...source }: Times): Topology {
  return topology('times', (t) => {
    t.source('events', {
      schema: Type.Object({ time: Timestamp() }),
      eventTime: (event) => event.time,
      ...source,
    })
      .keyBy(() => 'all', { name: 'key', isPartitionedBySource: true })
      .window(tumbling(size), { name: 'windows', ...(grace !== undefined && { grace }) })
      .aggregate({ events: count() })
      .map(({ events }) => ({ events }))
      .toLake('counts', { schema: Type.Object({ events: Type.Integer() }) });
  });
}

it.each([
  { size: 0.5 },
  { size: 1_000.5 },
  { size: Infinity },
  { size: NaN },
  { grace: 0.5 },
  { grace: -1 },
  { grace: Number.MAX_SAFE_INTEGER },
  { size: 2 * 10 ** 14 },
  { outOfOrderness: 1.5 },
  { outOfOrderness: NaN },
  { outOfOrderness: 10 ** 15 },
  { early: { limit: -1 } },
  { quiet: { after: -1, maxDelay: 0 } },
  { quiet: { after: 0, maxDelay: 0.5 } },
])('refuses %j', (times) => {
  expect(() => define(times)).toThrow(/STREAM_TOPOLOGY_INVALID.*(milliseconds|negative)/);
});

it.each([{ early: { limit: Infinity } }, { grace: 0, outOfOrderness: 0, size: 1 }])(
  'takes %j',
  (times) => {
    expect(define(times).name).toBe('times');
  },
);

it.each([
  [{ within: 0 }, /dedupe once: its within must be .* from 1 to/],
  [{ within: NaN }, /dedupe once: its within/],
  [{ within: 1, grace: -1 }, /dedupe once: its grace must be .* from 0 to/],
  [{ within: 1, grace: 10 ** 15 }, /join pairs: its grace/],
  [{ within: Infinity }, /join pairs: its within/],
  [{ within: 0.5 }, /join pairs: its within must be .*, it is 0.5/],
])('a dedupe and a join refuse %j', (times, fault) => {
  const schema = Type.Object({ time: Timestamp() });
  const keyed = () =>
    topology('times', (t) => {
      const events = t
        .source('events', { schema, eventTime: (event) => event.time })
        .keyBy(() => 'all', { name: 'key', isPartitionedBySource: true });
      events.dedupe({ name: 'once', ...times }).toLake('once_rows', { schema });
      events.join(events, { name: 'pairs', ...times }, (one) => one).toLake('rows', { schema });
    });
  expect(keyed).toThrow(fault);
});
