// Goal: the first and the last value of a window are so by event time: not by who was read first.
import { Type } from 'typebox';
import { first, last, minutes, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { testTopology } from '../../../shared/testing';

const trade = Type.Object({ symbol: Type.String(), time: Timestamp(), price: Type.Number() });
const bar = Type.Object({
  symbol: Type.String(),
  minute: Timestamp(),
  open: Type.Number(),
  close: Type.Number(),
});
const startMs = Date.UTC(2026, 0, 1);

const bars = (isWhole: boolean) =>
  topology('bars', (t) => {
    const keyed = t
      .source('trades', { schema: trade, eventTime: (e) => e.time, outOfOrderness: minutes(60) })
      .keyBy((e) => e.symbol, { name: 'symbol' });
    keyed
      .window(tumbling(minutes(1)), { name: 'minutes' })
      .aggregate({ open: first((e) => e.price), close: last((e) => e.price) })
      .map((w) => ({
        symbol: w.key,
        minute: w.windowStart,
        open: w.open ?? 0,
        close: w.close ?? 0,
      }))
      .toLake('bars', { schema: bar });
    if (isWhole) keyed.toLake('raw', { schema: trade });
  });

/** Out of order, several of one time, on three partitions. */
const trades = Array.from({ length: 90 }, (_, id) => ({
  symbol: `S${id % 2}`,
  time: startMs + ((id * 37) % 60) * 5_000,
  price: (id * 11) % 23,
}));

function expected() {
  const windows = new Map<string, typeof trades>();
  for (const one of trades) {
    const name = `${one.symbol} ${Math.floor(one.time / 60_000) * 60_000}`;
    windows.set(name, [...(windows.get(name) ?? []), one]);
  }
  const rows = Array.from(windows, ([name, own]) => {
    const [symbol = '', minute = ''] = name.split(' ');
    const sorted = [...own].sort((left, right) =>
      left.time === right.time
        ? String(left.price) < String(right.price)
          ? -1
          : 1
        : left.time - right.time,
    );
    return {
      ...{ symbol, minute: Number(minute) },
      ...{ open: sorted[0]?.price, close: sorted.at(-1)?.price },
    };
  });
  return rows.sort((left, right) =>
    left.symbol === right.symbol ? left.minute - right.minute : left.symbol < right.symbol ? -1 : 1,
  );
}

it.each([1, 2, 3, 4, 5, 6])('in whatever order partitions are read (seed %s)', async (seed) => {
  const test = testTopology(bars(seed % 2 === 0), { partitions: 3, exchangePartitions: 2 })
    .interleave(seed)
    .send('trades', trades.slice(0, 50))
    .restart()
    .send('trades', trades.slice(50))
    .end();
  expect(await test.table('bars', bar)).toEqual(expected());
});
