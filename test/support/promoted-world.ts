/** A stage world whose source hub is promoted after a worker has read hundred orders of it. */
import { listLogs, readLog } from '../../shared/commit-log/log-reader';
import type { CommitRecord, Gap, TaskSummary } from '../../shared/model/commit';
import type { HubMessage } from '../../shared/model/ports';
import { topologies } from '../fixtures/topologies/orders';
import { expectedMinutes, expectedPaid, someOrders, type Order } from './orders';
import { StageWorld } from './stage-world';

export const functionName = 'orders-orders';
export const orders = someOrders(400);
export const read = orders.slice(0, 100);
export const sentAfter = orders.slice(100, 180);

export function send(world: StageWorld, some: readonly Order[], hub = 'orders'): void {
  for (const order of some) world.hub(hub).append(0, Buffer.from(JSON.stringify(order)));
}

export const batch = (messages: readonly HubMessage[]) => ({
  ...{ functionName, partition: '0', messages, deadlineMs: Infinity },
});

/** A worker that has read hundred orders. */
export async function started(limits: ConstructorParameters<typeof StageWorld>[0]['limits'] = {}) {
  const world = new StageWorld({ topologies, partitionCount: 1, limits });
  const hub = world.hub('orders');
  send(world, read);
  const worker = world.worker();
  await worker.processBatch(batch(Array.from(hub.messages(0))));
  return { world, hub, worker };
}

/** What the logs of the first stage say, oldest life first. */
export async function logsOf(world: StageWorld, stage = 'orders') {
  const found: {
    incarnation: string;
    gaps: Gap[];
    summary: TaskSummary | null;
    ledgerRead: number;
  }[] = [];
  for (const path of await listLogs(world.appends, 'orders')) {
    if (path.stage !== stage) continue;
    const { records } = await readLog(world.appends, path, null);
    const commits = records.filter((one): one is CommitRecord => one.kind === 'commit');
    const header = records.find((one) => one.kind === 'header');
    const summary =
      commits.at(-1)?.summary ?? (header?.kind === 'header' ? header.summary : null) ?? null;
    found.push({
      incarnation: path.incarnation.slice(-6),
      gaps: commits.flatMap(({ gaps }) => gaps),
      summary,
      ledgerRead: summary?.ledger.read ?? 0,
    });
  }
  return found.sort((left, right) => (left.incarnation < right.incarnation ? -1 : 1));
}

export const lossOf = (fromSequenceNumber: number, toSequenceNumber: number): Gap => ({
  ...{ fromSequenceNumber, toSequenceNumber },
  ...{ reason: 'hub-promoted', events: null },
});

export async function expectTables(world: StageWorld, some: readonly Order[]): Promise<void> {
  expect(await world.rows('orders_paid')).toEqual(expectedPaid(some));
  expect(await world.rows('customer_minutes')).toEqual(expectedMinutes(some));
}

export const told = (world: StageWorld, event: string) =>
  world.events.filter((one) => one.event === event).map(({ fields }) => fields);
