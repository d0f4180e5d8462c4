// Goal: input that nobody thought of (none, one event, times before the epoch, keys that are NaN or −0) gives what
// a plain fold over it gives; so does a window that waits for thousands of years.
import {
  count,
  hours,
  min,
  minutes,
  topology,
  tumbling,
  type Topology,
} from '../../shared/dataflow';
import {
  check,
  events,
  fold,
  options,
  row,
  rowsOf,
  startMs,
  windowOf,
} from '../support/odd-topologies';

const input = events(120);

const counted = (name: string, size: number, grace: number): Topology =>
  topology(name, (t) => {
    t.source('in', options)
      .keyBy((e) => e.key, { name: 'key' })
      .window(tumbling(size), { name: 'windows', grace })
      .aggregate({ n: count(), least: min((e) => e.n) })
      .map((w) => ({ what: `${w.key} ${w.windowStart}`, n: w.n }))
      .toLake('counts', { schema: row });
  });

it.each([
  ['no event at all', []],
  ['one event', events(1)],
  ['three hundred keys', events(300).map((e) => ({ ...e, key: `key-${e.id}` }))],
  ['times around the epoch', events(120, -minutes(7))],
  ['times far before the epoch', events(50, Date.UTC(-4000, 0, 1))],
  ['one time for all', events(50, startMs, 0)],
])('%s', async (_, sent) => {
  const size = minutes(2);
  await check({
    topology: counted('plain', size, 0),
    input: { in: sent },
    tables: {
      counts: rowsOf(
        fold(
          sent,
          (e) => `${e.key} ${windowOf(e.time, size)}`,
          () => 1,
        ),
      ),
    },
  });
});

it.each([hours(24 * 365), 10 ** 14])('a grace of %s ms', async (grace) => {
  const size = minutes(2);
  await check({
    topology: counted('patient', size, grace),
    input: { in: input },
    tables: {
      counts: rowsOf(
        fold(
          input,
          (e) => `${e.key} ${windowOf(e.time, size)}`,
          () => 1,
        ),
      ),
    },
  });
});

it('keys that are NaN, −0, 0, null and tuples of them', async () => {
  const values = [NaN, -0, 0, null, [0, -0], [-0, 0], [null, false], '0', false] as const;
  const sent = Array.from({ length: 90 }, (_, id) => ({
    id,
    key: '',
    time: startMs + id,
    n: id % 9,
  }));
  const name = (key: unknown): string => JSON.stringify(key, (_, v: unknown) => (v === 0 ? 0 : v));
  await check({
    topology: topology('keys', (t) => {
      t.source('in', options)
        .keyBy((e) => values[e.n] as string | number | null, { name: 'key' })
        .window(tumbling(minutes(1)), { name: 'windows' })
        .aggregate({ n: count() })
        .map((w) => ({ what: name(w.key), n: w.n }))
        .toLake('counts', { schema: row });
    }),
    input: { in: sent },
    tables: {
      counts: rowsOf(
        fold(
          sent,
          (e) => (e.n === 0 ? null : name(values[e.n])),
          () => 1,
        ),
      ),
    },
    letters: sent.filter((e) => e.n === 0).map(() => 'STREAM_USER_FUNCTION_THREW'),
  });
});
