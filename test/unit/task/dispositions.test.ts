// Goal: a failure's disposition, and nothing else, decides what becomes of the task that meets it.
// Method: the real engine on memory stores; a step of its first commit fails once, with each code.
import { MemoryAppendStore } from '../../../shared/adapters/memory-stores';
import { errorTable, StreamError, type ErrorCode } from '../../../shared/model/errors';
import type { AppendStore } from '../../../shared/model/ports';
import { topologies } from '../../fixtures/topologies/orders';
import { delegating } from '../../support/log-world';
import { someOrders } from '../../support/orders';
import { StageWorld } from '../../support/stage-world';

const codes = Object.keys(errorTable) as ErrorCode[];
const withDisposition = (disposition: string): ErrorCode[] =>
  codes.filter((code) => errorTable[code] === disposition);

/** A batch of 20 orders whose first try fails with a code: what became of it. */
async function runWith(code: ErrorCode): Promise<{
  readonly error: unknown;
  readonly openings: number;
  readonly sleptMs: number;
  readonly read: number;
}> {
  let openings = 0;
  const inner = new MemoryAppendStore();
  const appends: AppendStore = {
    ...delegating(inner),
    list: (prefix) => {
      if (prefix === 'commits/orders/v1/orders/') openings += 1;
      return inner.list(prefix);
    },
  };
  const world = new StageWorld({ topologies, partitionCount: 1, appends });
  for (const order of someOrders(20)) {
    world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
  }
  let isMet = false;
  const worker = world.worker((point) => {
    if (isMet || point !== 'stage.before-process') return false;
    isMet = true;
    throw new StreamError(code, 'as a test says');
  });
  const startedAtMs = world.nowMs;
  const error: unknown = await world
    .deliver(worker, { stage: 'orders', partition: 0 })
    .then(() => null)
    .catch((met: unknown) => met);
  expect(isMet).toBe(true);
  const counted = { openings, sleptMs: world.nowMs - startedAtMs };
  const [ledger] = await world.worker().ledgers(world.stage('orders').functionName);
  return { error, ...counted, read: ledger?.read ?? -1 };
}

it.each(withDisposition('reopen'))(
  'opens the task from its log again, at once, and commits the batch once: %s',
  async (code) => {
    const usual = await runWith('STREAM_STORE_UNAVAILABLE');
    const run = await runWith(code);
    expect(run).toMatchObject({ error: null, sleptMs: 0, read: 20 });
    expect(run.openings).toBeGreaterThan(usual.openings);
  },
);

it.each(withDisposition('retry').filter((code) => code !== 'STREAM_WORKER_FULL'))(
  'tries again in place, after a pause: %s',
  async (code) => {
    const run = await runWith(code);
    expect(run).toMatchObject({ error: null, sleptMs: 100, read: 20 });
  },
);

it('returns the batch at once where others have to make room: STREAM_WORKER_FULL', async () => {
  const run = await runWith('STREAM_WORKER_FULL');
  expect(run).toMatchObject({ error: { code: 'STREAM_WORKER_FULL' }, sleptMs: 0, read: 0 });
});

it.each(withDisposition('halt').filter((code) => code !== 'STREAM_BUILD_SUPERSEDED'))(
  'returns the batch uncommitted: %s',
  async (code) => {
    expect(await runWith(code)).toMatchObject({ error: { code }, sleptMs: 0, read: 0 });
  },
);
