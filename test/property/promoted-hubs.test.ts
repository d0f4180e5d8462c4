// Goal: however promotions, batches in hand, deaths and pauses follow each other, no event is doubled, none that the hub
// still holds is missing, and where one is missing that was lost unread, no other is.
// Method: seeded runs of two stages on memory hubs; both hubs are promoted and lose some of their last messages, while
// two workers are handed old batches and new ones in any order.
import { listLogs, readLog } from '../../shared/commit-log/log-reader';
import { LedgerReader } from '../../shared/ledger/ledger-reader';
import type { HubMessage } from '../../shared/model/ports';
import type { Runtime } from '../../shared/task/runtime';
import { Seeded } from '../../shared/testing/seeded';
import { topologies } from '../fixtures/topologies/orders';
import { expectedPaid, someOrders, type Order } from '../support/orders';
import { StageWorld, WorkerDied } from '../support/stage-world';

const seeds = 120;
const stepsOfRun = 24;
const hubs = ['orders', 'orders-customer'] as const;

class PromotedRun {
  readonly world = new StageWorld({ topologies, partitionCount: 1 });
  readonly #random: Seeded;
  readonly #orders = someOrders(400);
  readonly #workers: (Runtime | null)[] = [null, null];
  /** What hosts have in hand, of whatever region. */
  readonly #inHand: { readonly hub: string; readonly messages: readonly HubMessage[] }[] = [];
  #sent = 0;
  promotions = 0;

  constructor(seed: number) {
    this.#random = new Seeded(seed);
  }

  get sent(): readonly Order[] {
    return this.#orders.slice(0, this.#sent);
  }

  async run(): Promise<void> {
    for (let step = 0; step < stepsOfRun; step += 1) await this.#step();
    await this.world.finish(this.world.worker());
    // What one promotion left is begun with the drain.
    await this.world.finish(this.world.worker());
  }

  async #step(): Promise<void> {
    const { world } = this;
    switch (this.#random.below(8)) {
      case 0:
      case 1:
        return this.#send();
      case 2: {
        const hub = world.hub(hubs[this.#random.below(2)] ?? 'orders');
        const most = hub.messages(0).length;
        if (most === 0) return;
        hub.loseLast(0, this.#random.below(Math.min(most, 30) + 1));
        this.promotions += 1;
        if (this.#random.below(2) === 0) this.#send();
        return;
      }
      case 3:
      case 4:
        return this.#take();
      case 5:
        world.nowMs += 60_000;
        return this.#try((worker) => worker.tendHeld(Infinity));
      default:
        return this.#deliver();
    }
  }

  #send(): void {
    const count = Math.min(1 + this.#random.below(30), this.#orders.length - this.#sent);
    for (const order of this.#orders.slice(this.#sent, this.#sent + count)) {
      this.world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
    }
    this.#sent += count;
  }

  /** A host reads on; what it had of the region before stays in its hand. */
  #take(): void {
    const hub = hubs[this.#random.below(2)] ?? 'orders';
    const all = this.world.hub(hub).messages(0);
    const from = this.#random.below(2) * this.#random.below(all.length + 1);
    const messages = Array.from(all).slice(from, from + 1 + this.#random.below(120));
    if (messages.length > 0) this.#inHand.push({ hub, messages });
  }

  async #deliver(): Promise<void> {
    const isNewest = this.#random.below(2) === 0;
    const batch = isNewest
      ? this.#inHand.at(-1)
      : this.#inHand[this.#random.below(this.#inHand.length)];
    if (batch === undefined) return;
    const stage = this.world.stages.find(({ input }) => input.hub === batch.hub);
    if (stage === undefined) throw new Error('no stage');
    const { functionName } = stage;
    const { messages } = batch;
    await this.#try((worker) =>
      worker.processBatch({ functionName, partition: '0', messages, deadlineMs: Infinity }),
    );
  }

  async #try(work: (worker: Runtime) => Promise<unknown>): Promise<void> {
    const place = this.#random.below(2);
    let left = this.#random.below(4) === 0 ? this.#random.below(12) : Infinity;
    const worker = (this.#workers[place] ??= this.world.worker(() => (left -= 1) < 0));
    try {
      await work(worker);
    } catch (error) {
      const met: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
      if (!met.some((one) => one instanceof WorkerDied)) throw error;
      this.#workers[place] = null;
    }
  }
}

test(`in ${seeds} seeds`, async () => {
  let promotions = 0;
  let lives = 0;
  for (let seed = 1; seed <= seeds; seed += 1) {
    try {
      const run = new PromotedRun(seed);
      await run.run();
      promotions += run.promotions;
      lives += await check(run);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  expect(promotions).toBeGreaterThan(seeds);
  expect(lives).toBeGreaterThan(seeds / 4);
}, 120_000);

/** @returns how many lives began because a promotion was noticed */
async function check({ sent, world }: PromotedRun): Promise<number> {
  const rows = await world.rows('orders_paid');
  expect(new Set(rows).size).toBe(rows.length);
  const held = world
    .hub('orders')
    .messages(0)
    .map(({ body }) => JSON.parse(Buffer.from(body).toString()) as Order);
  const isThere = new Set(rows);
  expect(expectedPaid(held).filter((row) => !isThere.has(row))).toEqual([]);
  const wasSent = new Set(expectedPaid(sent));
  expect(rows.filter((row) => !wasSent.has(row))).toEqual([]);
  const accounts = await new LedgerReader({
    appends: world.appends,
    topology: 'orders',
  }).refresh();
  const [second] = accounts.filter(({ path }) => path.stage === 'by-customer');
  // Behind the exchange everything that was sent to it is read once, or declared by its number.
  expect((second?.ledger.read ?? 0) + (await missingIn(world))).toBe(rows.length);
  const minutes = await world.rows('customer_minutes');
  const counted = minutes.reduce((sum, row) => sum + Number((JSON.parse(row) as unknown[])[2]), 0);
  expect(counted).toBe(second?.ledger.emitted ?? 0);
  return accounts.reduce((sum, { promotion }) => sum + (promotion?.count ?? 0), 0);
}

/** Events that the second stage declares missing by their ordinals. */
async function missingIn({ appends }: StageWorld): Promise<number> {
  let missing = 0;
  for (const path of await listLogs(appends, 'orders')) {
    if (path.stage !== 'by-customer') continue;
    for (const record of (await readLog(appends, path, null)).records) {
      if (record.kind !== 'commit') continue;
      for (const { events, reason } of record.gaps) {
        if (reason === 'producer-missing') missing += events ?? 0;
      }
    }
  }
  return missing;
}
