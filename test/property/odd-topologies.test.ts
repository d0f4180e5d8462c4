// Goal: topologies that nobody thought of give what a plain fold over their input gives, however batches are cut
// and partitions take turns, on one partition or several, and over workers that die.
// Method: each is run in ways of its own against a fold that shares no code with the engine.
import { count, hours, max, minutes, sum, topology, tumbling } from '../../shared/dataflow';
import {
  check,
  events,
  fold,
  options,
  row,
  rowsOf,
  startMs,
  windowOf,
  type Row,
} from '../support/odd-topologies';

const input = events(120);

it('one stream in two windows, a table and a window over the results of a window', async () => {
  const all = (size: number) =>
    fold(
      input,
      (e) => `${e.key} ${windowOf(e.time, size)}`,
      (e) => e.n,
    );
  const perHour = new Map<string, number>();
  for (const [what, n] of all(minutes(1))) {
    const [key = '', minute = ''] = what.split(' ');
    const name = `${key} ${windowOf(Number(minute), hours(1))}`;
    perHour.set(name, Math.max(perHour.get(name) ?? 0, n));
  }
  await check({
    topology: topology('twice', (t) => {
      const source = t.source('in', options);
      const keyed = source.keyBy((e) => e.key, { name: 'key' });
      const small = keyed
        .window(tumbling(minutes(1)), { name: 'small' })
        .aggregate({ n: sum((e) => e.n) });
      small
        .map((w) => ({ what: `${w.key} ${w.windowStart}`, n: w.n }))
        .toLake('small', { schema: row });
      keyed
        .window(tumbling(minutes(5)), { name: 'large', grace: minutes(2) })
        .aggregate({ n: sum((e) => e.n) })
        .map((w) => ({ what: `${w.key} ${w.windowStart}`, n: w.n }))
        .toLake('large', { schema: row });
      small
        .window(tumbling(hours(1)), { name: 'over' })
        .aggregate({ n: max((w) => w.n) })
        .map((w) => ({ what: `${w.key} ${w.windowStart}`, n: w.n ?? -1 }))
        .toLake('over', { schema: row });
      source.map((e) => ({ what: `${e.id}`, n: e.n })).toLake('raw', { schema: row });
    }),
    input: { in: input },
    tables: {
      small: rowsOf(all(minutes(1))),
      large: rowsOf(all(minutes(5))),
      over: rowsOf(perHour),
      raw: input.map((e) => ({ what: `${e.id}`, n: e.n })),
    },
  });
});

it('a keyed stream united with itself, twice, counts four times', async () => {
  await check({
    topology: topology('itself', (t) => {
      const keyed = t.source('in', options).keyBy((e) => e.key, { name: 'key' });
      const doubled = keyed.union(keyed);
      doubled
        .union(doubled)
        .window(tumbling(minutes(5)), { name: 'windows' })
        .aggregate({ n: count() })
        .map((w) => ({ what: `${w.key} ${w.windowStart}`, n: w.n }))
        .toLake('counts', { schema: row });
    }),
    input: { in: input },
    tables: {
      counts: rowsOf(
        fold(
          input,
          (e) => `${e.key} ${windowOf(e.time, minutes(5))}`,
          () => 4,
        ),
      ),
    },
  });
});

it('a join of two windows of one stream', async () => {
  const one = fold(
    input,
    (e) => `${e.key} ${windowOf(e.time, minutes(1)) + minutes(1)}`,
    () => 1,
  );
  const other = fold(
    input,
    (e) => `${e.key} ${windowOf(e.time, minutes(4)) + minutes(4)}`,
    () => 1,
  );
  const pairs: Row[] = [];
  for (const [left, n] of one) {
    for (const [right, m] of other) {
      const [[k = '', a = ''], [l = '', b = '']] = [left.split(' '), right.split(' ')];
      if (k !== l || Math.abs(Number(a) - Number(b)) > minutes(2)) continue;
      pairs.push({ what: `${k} ${a} ${b}`, n: n * 100 + m });
    }
  }
  await check({
    topology: topology('windows', (t) => {
      const keyed = t.source('in', options).keyBy((e) => e.key, { name: 'key' });
      const left = keyed.window(tumbling(minutes(1)), { name: 'ones' }).aggregate({ n: count() });
      const right = keyed.window(tumbling(minutes(4)), { name: 'fours' }).aggregate({ n: count() });
      left
        .join(right, { name: 'pairs', within: minutes(2) }, (l, r) => ({
          what: `${l.key} ${l.windowEnd} ${r.windowEnd}`,
          n: l.n * 100 + r.n,
        }))
        .toLake('pairs', { schema: row });
    }),
    input: { in: input },
    tables: { pairs },
  });
});

it('dedupe behind a flatMap behind a keyBy, and a keyBy and a window behind it', async () => {
  const kept = new Map<string, Set<string>>();
  for (const { key, n, time } of input) {
    for (const part of [n, n + 1]) {
      const name = `${windowOf(time, hours(1))}`;
      kept.set(name, (kept.get(name) ?? new Set()).add(`${key} ${part}`));
    }
  }
  await check({
    topology: topology('flat', (t) => {
      t.source('in', options)
        .keyBy((e) => e.key, { name: 'key' })
        .flatMap((e) => [e.n, e.n + 1])
        .dedupe({ name: 'once', within: hours(10), by: (n) => n })
        .keyBy(() => null, { name: 'all' })
        .window(tumbling(hours(1)), { name: 'windows' })
        .aggregate({ n: count() })
        .map((w) => ({ what: `${w.windowStart}`, n: w.n }))
        .toLake('counts', { schema: row });
    }),
    input: { in: input },
    tables: { counts: Array.from(kept, ([what, { size: n }]) => ({ what, n })) },
  });
});

it('a keyBy, and a dedupe, behind a join of two sources', async () => {
  const left = events(40);
  const right = events(40, startMs + 3_000, 11_000).map((e) => ({ ...e, id: e.id + 1_000 }));
  const folded = new Map<string, number>();
  for (const l of left) {
    for (const r of right) {
      if (l.key !== r.key || Math.abs(l.time - r.time) > minutes(1)) continue;
      const name = `${(l.n + r.n) % 3} ${windowOf(Math.max(l.time, r.time), minutes(5))}`;
      folded.set(name, (folded.get(name) ?? 0) + 1);
    }
  }
  await check({
    topology: topology('behind', (t) => {
      const [l, r] = ['left', 'right'].map((name) =>
        t.source(name, options).keyBy((e) => e.key, { name: `of-${name}` }),
      );
      if (l === undefined || r === undefined) throw new Error('two sides');
      l.join(r, { name: 'pairs', within: minutes(1) }, (one, two) => ({
        rest: (one.n + two.n) % 3,
        ids: `${one.id} ${two.id}`,
      }))
        .keyBy((p) => p.rest, { name: 'rest' })
        .dedupe({ name: 'once', within: hours(2), by: (p) => p.ids })
        .window(tumbling(minutes(5)), { name: 'windows' })
        .aggregate({ n: count() })
        .map((w) => ({ what: `${w.key} ${w.windowStart}`, n: w.n }))
        .toLake('counts', { schema: row });
    }),
    input: { left, right },
    tables: { counts: rowsOf(folded) },
  });
});

it('a map that throws in one branch and one that changes its value in the other', async () => {
  const isBad = (e: { readonly id: number }): boolean => e.id % 10 === 3;
  const good = input.filter((e) => !isBad(e));
  await check({
    topology: topology('branches', (t) => {
      const source = t.source('in', options);
      source
        .map((e) => {
          if (isBad(e)) throw new Error('bad');
          return { what: `${e.id}`, n: e.n };
        })
        .toLake('thrown', { schema: row });
      source
        .map((e) => ({ ...e, list: [e.n] }))
        .map((e) => {
          // Nobody else has it: it is its own.
          e.list.push(1);
          return { what: `${e.id}`, n: e.list.length };
        })
        .toLake('changed', { schema: row });
      const shared = source.map((e) => ({ what: `${e.id}`, n: e.n, parts: [e.n] }));
      shared.toLake('kept', { schema: row });
      shared
        .filter((e) => e.n === 7)
        .map((e) => {
          try {
            e.parts.push(1);
          } catch {
            // Frozen: others are given it too.
          }
          (e as { n?: number }).n = 100;
          return e;
        })
        .toLake('never', { schema: row });
    }),
    input: { in: input },
    tables: {
      thrown: good.filter((e) => e.n !== 7).map((e) => ({ what: `${e.id}`, n: e.n })),
      changed: good.filter((e) => e.n !== 7).map((e) => ({ what: `${e.id}`, n: 2 })),
      kept: good.filter((e) => e.n !== 7).map((e) => ({ what: `${e.id}`, n: e.n })),
      never: [],
    },
    letters: input.filter((e) => isBad(e) || e.n === 7).map(() => 'STREAM_USER_FUNCTION_THREW'),
  });
});

it('a chain of a hundred maps, three keyBys and windows over windows over windows', async () => {
  await check({
    topology: topology('deep', (t) => {
      let stream = t.source('in', options).map((e) => ({ key: e.key, n: e.n }));
      for (let step = 0; step < 100; step += 1) stream = stream.map((e) => ({ ...e, n: e.n + 1 }));
      stream
        .keyBy((e) => e.key, { name: 'first' })
        .window(tumbling(minutes(1)), { name: 'ones', grace: minutes(1) })
        .aggregate({ n: sum((e) => e.n) })
        .keyBy((w) => w.n % 2 === 0, { name: 'second' })
        .window(tumbling(minutes(3)), { name: 'threes', grace: minutes(7) })
        .aggregate({ n: sum((w) => w.n) })
        .keyBy(() => 'all', { name: 'third' })
        .window(tumbling(minutes(6)), { name: 'sixes' })
        .aggregate({ n: sum((w) => w.n), windows: count() })
        .map((w) => ({ what: `${w.windowStart}`, n: w.n }))
        .toLake('sums', { schema: row });
    }),
    input: { in: input },
    tables: {
      sums: rowsOf(
        fold(
          input,
          (e) => `${windowOf(e.time, minutes(6))}`,
          (e) => e.n + 100,
        ),
      ),
    },
  });
});

it('window results united with the raw stream, and in a window again', async () => {
  const folded = fold(
    input,
    (e) => `${e.key} ${windowOf(e.time, minutes(10))}`,
    () => 1,
  );
  const inWindows = new Set(input.map((e) => `${e.key} ${windowOf(e.time, minutes(1))}`));
  for (const what of inWindows) {
    const [key = '', minute = ''] = what.split(' ');
    const name = `${key} ${windowOf(Number(minute), minutes(10))}`;
    folded.set(name, (folded.get(name) ?? 0) + 1);
  }
  await check({
    topology: topology('mixed', (t) => {
      const keyed = t.source('in', options).keyBy((e) => e.key, { name: 'key' });
      const ones = keyed.window(tumbling(minutes(1)), { name: 'ones' }).aggregate({ n: count() });
      ones
        .union(keyed.map((e) => ({ key: e.key, n: e.n })))
        .window(tumbling(minutes(10)), { name: 'tens' })
        .aggregate({ n: count() })
        .map((w) => ({ what: `${w.key} ${w.windowStart}`, n: w.n }))
        .toLake('counts', { schema: row });
    }),
    input: { in: input },
    tables: { counts: rowsOf(folded) },
  });
});

it('window results united with the raw stream before a keyBy of both', async () => {
  const folded = fold(
    input,
    () => 'raw',
    () => 1,
  );
  folded.set('windows', new Set(input.map((e) => `${e.key} ${windowOf(e.time, minutes(1))}`)).size);
  await check({
    topology: topology('united', (t) => {
      const source = t.source('in', options);
      const ones = source
        .keyBy((e) => e.key, { name: 'key' })
        .window(tumbling(minutes(1)), { name: 'ones' })
        .aggregate({ n: count() });
      ones
        .map(() => 'windows')
        .union(source.map(() => 'raw'))
        .keyBy((what) => what, { name: 'what' })
        .window(tumbling(hours(1)), { name: 'hours' })
        .aggregate({ n: count() })
        .map((w) => ({ what: w.key, n: w.n }))
        .toLake('counts', { schema: row });
    }),
    input: { in: input },
    tables: { counts: rowsOf(folded) },
  });
});

it('two joins of the same two streams, and a join of a stream with itself', async () => {
  const small = events(40);
  const own: Row[] = [];
  const near: Row[] = [];
  const far: Row[] = [];
  for (const l of small) {
    for (const r of small) {
      if (l.key !== r.key) continue;
      const apart = Math.abs(l.time - r.time);
      const pair = { what: `${l.id} ${r.id}`, n: 1 };
      if (apart <= minutes(1)) own.push(pair);
      if (l.n % 2 === 0 || r.n % 2 === 1) continue;
      if (apart <= minutes(1)) near.push(pair);
      if (apart <= minutes(3)) far.push(pair);
    }
  }
  await check({
    topology: topology('joins', (t) => {
      const source = t.source('in', options);
      const odd = source.filter((e) => e.n % 2 === 1).keyBy((e) => e.key, { name: 'odd' });
      const even = source.filter((e) => e.n % 2 === 0).keyBy((e) => e.key, { name: 'even' });
      const pair = (l: { readonly id: number }, r: { readonly id: number }) => ({
        what: `${l.id} ${r.id}`,
        n: 1,
      });
      const none = (stream: typeof odd) =>
        stream.join(even, { name: 'near', within: minutes(1) }, pair);
      none(odd).toLake('near', { schema: row });
      odd.join(even, { name: 'far', within: minutes(3) }, pair).toLake('far', { schema: row });
      const all = source.keyBy((e) => e.key, { name: 'all' });
      all.join(all, { name: 'own', within: minutes(1) }, pair).toLake('own', { schema: row });
    }),
    input: { in: small },
    tables: { near, far, own },
  });
});
