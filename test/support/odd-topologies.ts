/** Runs a topology in several ways, and compares each with what a plain fold over its input gives. */
import { Type } from 'typebox';
import { hours, Timestamp, type Topology } from '../../shared/dataflow';
import { testTopology } from '../../shared/testing';

const event = Type.Object({
  id: Type.Integer(),
  key: Type.String(),
  time: Timestamp(),
  n: Type.Number(),
});
export type Event = {
  readonly id: number;
  readonly key: string;
  readonly time: number;
  readonly n: number;
};
/** What most tables here hold: a text that names a result, and a number. */
export const row = Type.Object({ what: Type.String(), n: Type.Number() });
export type Row = { readonly what: string; readonly n: number };

/** Long enough for every partition to be as far out of order as the test sends. */
const outOfOrderness = hours(24);
export const startMs = Date.UTC(2026, 0, 1);
export const options = {
  schema: event,
  eventTime: (e: { readonly time: number }) => e.time,
  outOfOrderness,
};

export function events(howMany: number, from = startMs, stepMs = 7_000): Event[] {
  return Array.from({ length: howMany }, (_, id) => ({
    id,
    key: `k${(id * 7) % 5}`,
    time: from + id * stepMs,
    n: (id * 13) % 11,
  }));
}

/** The key-value pairs of a fold as rows. */
export function rowsOf(folded: ReadonlyMap<string, number>): Row[] {
  return Array.from(folded, ([what, n]) => ({ what, n })).sort(byText);
}

const byText = (left: Row, right: Row): number =>
  left.what === right.what ? left.n - right.n : left.what < right.what ? -1 : 1;

export function fold(
  input: readonly Event[],
  what: (e: Event) => string | null,
  n: (e: Event) => number,
): Map<string, number> {
  const folded = new Map<string, number>();
  for (const one of input) {
    const name = what(one);
    if (name !== null) folded.set(name, (folded.get(name) ?? 0) + n(one));
  }
  return folded;
}

export const windowOf = (time: number, size: number): number => Math.floor(time / size) * size;

export interface Odd {
  readonly topology: Topology;
  readonly input: Readonly<Record<string, readonly unknown[]>>;
  readonly tables: Readonly<Record<string, readonly Row[]>>;
  /** Codes of the dead letters, sorted. */
  readonly letters?: readonly string[];
}

const ways = [
  { name: 'whole', partitions: 1, exchangePartitions: 1, seed: null, restart: false },
  {
    name: 'on several partitions',
    partitions: 3,
    exchangePartitions: 4,
    seed: null,
    restart: false,
  },
  { name: 'by seed 1', partitions: 2, exchangePartitions: 3, seed: 1, restart: false },
  { name: 'by seed 2, over deaths', partitions: 3, exchangePartitions: 2, seed: 2, restart: true },
] as const;

export async function check({
  input,
  letters = [],
  tables,
  topology: defined,
}: Odd): Promise<void> {
  for (const { exchangePartitions, name, partitions, restart, seed } of ways) {
    const test = testTopology(defined, { partitions, exchangePartitions });
    if (seed !== null) test.interleave(seed);
    for (const [source, all] of Object.entries(input))
      test.send(source, all.slice(0, all.length / 2));
    if (restart) test.restart({ at: 'stage.after-process' }).restart({ at: 'stage.after-commit' });
    for (const [source, all] of Object.entries(input)) test.send(source, all.slice(all.length / 2));
    if (restart) test.restart();
    test.end();
    for (const [table, wanted] of Object.entries(tables)) {
      const found = (await test.table(table, row)).sort(byText);
      expect({ name, table, rows: found }).toEqual({ name, table, rows: [...wanted].sort(byText) });
    }
    const codes = (await test.deadLetters()).map(({ code }) => code).sort();
    expect({ name, codes }).toEqual({ name, codes: [...letters] });
    expect({ name, late: await test.late() }).toEqual({ name, late: [] });
    for (const counts of Object.values(await test.ledger())) {
      const { deadLettered, emitted, filtered, late, read } = counts;
      expect(emitted + filtered + late + deadLettered).toBe(read);
    }
  }
}
