/**
 * Orders from a seed, and all that may be wrong with one: late, early, out of order, for one
 * customer only, undecodable, of another shape, deadly. A plain fold over them is the oracle.
 */
import type { TableComparison } from '../../../cli/oracle/flights-oracle';
import { Random } from '../../simulation/world/random';
import { expectedMinutes, expectedPaid, type Order } from '../../support/orders';
import { Outcome } from '../../support/outcome';
import type { HubLoad } from './hub-load';
import type { Workload } from './workload';

const chunkOrders = 100;
const firstOrderMs = Date.UTC(2026, 0, 1);
const orderEveryMs = 40;
const outOfOrderMs = 20_000;
const customers = 40;
const hotShare = 0.9;
/** Long before any window that is still open, whatever the lateness that is allowed. */
const lateTimeMs = Date.UTC(2025, 0, 1);
/** So far in the future that it must not move the watermark: over a day past any enqueued time. */
const earlyTimeMs = Date.UTC(2099, 0, 1);

/** What makes user code suffer: see test/fixtures/topologies/orders.ts. */
export type Harm = 'throw' | 'exit' | 'loop' | 'memory';

const undecodable = {
  bytes: () => Buffer.from([0xff, 0xfe, 0x00]),
  'cut JSON': () => Buffer.from('{"id": 1,'),
  'another shape': () => Buffer.from('{"id":"one"}'),
  'deep nesting': () => Buffer.from('['.repeat(20_000)),
  '200 kB of another shape': () => Buffer.from(JSON.stringify({ id: 'x'.repeat(200_000) })),
} as const;
export type BadBody = keyof typeof undecodable;
export const badBodies = Object.keys(undecodable) as BadBody[];

export class OrdersWorkload implements Workload {
  readonly topology = 'orders';
  readonly hub = 'orders';
  readonly #orders: Order[] = [];
  readonly #late: Order[] = [];
  readonly #random: Random;
  readonly #partitionCount: number;
  readonly #isUntrue: boolean;
  #badBodies = 0;
  #hotUntilMs = 0;
  #nextId = 0;

  constructor(options: { seed: number; partitionCount: number; isUntrue: boolean }) {
    this.#random = new Random(options.seed);
    this.#partitionCount = options.partitionCount;
    this.#isUntrue = options.isUntrue;
  }

  readonly source = {
    chunk: async (_partition: number, chunk: number): Promise<readonly Uint8Array[]> => {
      const startMs = firstOrderMs + chunk * chunkOrders * orderEveryMs * this.#partitionCount;
      return Array.from({ length: chunkOrders }, (_, index) =>
        this.#bodyOf({
          id: this.#id(),
          customer: this.#customer(),
          time:
            startMs +
            index * orderEveryMs * this.#partitionCount -
            this.#random.below(outOfOrderMs),
          amount: this.#random.between(-10, 99),
        }),
      );
    },
  };

  /** For so long nine of ten orders are one customer's. */
  heat(milliseconds: number): void {
    this.#hotUntilMs = Date.now() + milliseconds;
  }

  injectBad(load: HubLoad, partition: number, body: BadBody): void {
    this.#badBodies += 1;
    load.inject(partition, [undecodable[body]()]);
  }

  injectHarm(load: HubLoad, partition: number, harm: Harm): void {
    const order = { id: this.#id(), customer: 'customer-1', time: firstOrderMs, amount: 1, harm };
    load.inject(partition, [this.#bodyOf(order)]);
  }

  injectLate(load: HubLoad, partition: number, count: number): void {
    const late = Array.from({ length: count }, () => ({
      ...{ id: this.#id(), customer: this.#customer(), time: lateTimeMs, amount: 5 },
    }));
    this.#late.push(...late);
    load.inject(
      partition,
      late.map((order) => this.#bodyOf(order)),
    );
  }

  injectEarly(load: HubLoad, partition: number, count: number): void {
    const early = Array.from({ length: count }, (_, index) =>
      this.#bodyOf({
        ...{ id: this.#id(), customer: this.#customer() },
        ...{ time: earlyTimeMs + index * 60_000, amount: 5 },
      }),
    );
    load.inject(partition, early);
  }

  async compare(finished: Parameters<Workload['compare']>[0]): Promise<TableComparison[]> {
    const found = new Outcome(finished.connectionString, finished.plan);
    const orders = this.#told();
    const late = new Set(this.#late.map(({ id }) => id));
    const inTime = orders.filter(({ id }) => !late.has(id));
    return [
      compareRows('orders_paid', expectedPaid(orders), await found.rows('orders_paid')),
      compareRows(
        'customer_minutes',
        expectedMinutes(inTime),
        await found.rows('customer_minutes'),
      ),
    ];
  }

  async ends(): ReturnType<Workload['ends']> {
    const orders = this.#told();
    const filtered = orders.filter(({ amount }) => amount < 0).length;
    const harmful = orders.filter(({ harm }) => harm !== undefined).length;
    const deadLettered = this.#badBodies + harmful;
    const read = orders.length + this.#badBodies;
    const emitted = read - filtered - deadLettered;
    return { read, filtered, deadLettered, emitted, late: this.#late.length };
  }

  /** The orders as the oracle hears of them. */
  #told(): readonly Order[] {
    if (!this.#isUntrue) return this.#orders;
    return [
      ...this.#orders,
      { id: -1, customer: 'customer-that-never-was', time: firstOrderMs, amount: 1 },
    ];
  }

  #bodyOf(order: Order): Uint8Array {
    this.#orders.push(order);
    return Buffer.from(JSON.stringify(order));
  }

  #id(): number {
    this.#nextId += 1;
    return this.#nextId;
  }

  #customer(): string {
    const isHot = Date.now() < this.#hotUntilMs && this.#random.chance(hotShare);
    return `customer-${isHot ? 0 : this.#random.below(customers)}`;
  }
}

/** Both lists are sorted: one walk finds what only one of them has. */
export function compareRows(
  table: string,
  expected: readonly string[],
  found: readonly string[],
): TableComparison {
  const missing: string[] = [];
  const extra: string[] = [];
  let at = 0;
  for (const row of expected) {
    while (at < found.length && (found[at] ?? '') < row) extra.push(found[at++] ?? '');
    if (found[at] === row) at += 1;
    else missing.push(row);
  }
  for (const row of found.slice(at)) extra.push(row);
  return {
    table,
    expected: expected.length,
    found: found.length,
    missing: missing.length,
    extra: extra.length,
    sample: [...missing.slice(0, 3), ...extra.slice(0, 3)],
  };
}
