// Goal: the supervisor brings stalled tasks back, straight from the hub, whoever dies meanwhile.
// Method: real processes; the triggers' leases are long, so nobody else would read the partitions
// of a dead worker within the test. The Durable host runs the real orchestration.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlobAppendStore } from '../../shared/adapters/blob-append-store';
import { connectContainer } from '../../shared/adapters/blob-container';
import { DecisionLog, type SupervisorDecision } from '../../shared/supervision/decision-log';
import { someOrders } from '../support/orders';
import { eventually } from '../support/outcome';
import { OrdersRun } from './orders-run';

jest.setTimeout(600_000);

/** Five minutes: a partition that a dead worker held stays its own for the whole test. */
const longLeases = {
  partitionOwnershipExpirationIntervalMs: 300_000,
  loadBalancingUpdateIntervalMs: 500,
};
const supervised = { MILLRACE_SUPERVISOR: 'durable', MILLRACE_SUPERVISOR_PERIOD_MS: '1000' };

describe('the supervisor', () => {
  let run: OrdersRun | undefined;
  let folder: string | undefined;

  afterEach(async () => {
    await run?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    run = undefined;
    folder = undefined;
  });

  async function start(settings: Readonly<Record<string, string>> = {}): Promise<OrdersRun> {
    run = await OrdersRun.start({ leases: longLeases, settings: { ...supervised, ...settings } });
    return run;
  }

  async function decisions(of: OrdersRun): Promise<readonly SupervisorDecision[]> {
    const appends = new BlobAppendStore(
      connectContainer({
        connectionString: of.cluster.storageConnectionString,
        container: 'millrace',
      }),
    );
    return new DecisionLog({ appends, clock: { nowMs: () => Date.now() } }).newest(10_000);
  }

  const recoveries = (all: readonly SupervisorDecision[]): readonly SupervisorDecision[] =>
    all.filter(({ kind, needs }) => kind === 'tended' && needs.includes('recover'));

  it('recovers the partitions of killed workers although their leases go on', async () => {
    const { cluster } = await start();
    if (run === undefined) throw new Error('no run');
    const orders = someOrders(3_000);
    await run.send(orders.slice(0, 1_000));
    await run.untilRead(1_000);
    for (const { id } of cluster.host.workers) cluster.host.killWorker(id);
    await run.send(orders.slice(1_000));
    await run.finish();
    await run.expectOracle();
    expect(recoveries(await decisions(run)).some(({ result }) => result === 'done')).toBe(true);
  });

  it.each(['supervisor.before-tend', 'supervisor.after-tend'])(
    'goes on when a worker dies at %s, in the middle of a fan-out',
    async (point) => {
      folder = mkdtempSync(join(tmpdir(), 'millrace-token-'));
      const token = join(folder, 'token');
      const { cluster } = await start({ MILLRACE_FAULT_POINT: point, MILLRACE_FAULT_TOKEN: token });
      if (run === undefined) throw new Error('no run');
      const orders = someOrders(2_000);
      await run.send(orders.slice(0, 500));
      await run.untilRead(500);
      for (const { id } of cluster.host.workers) cluster.host.killWorker(id);
      writeFileSync(token, '');
      await run.send(orders.slice(500));
      await run.finish();
      await run.expectOracle();
      const died = cluster.hostLines.filter((line) => line.includes('ended (SIGKILL)'));
      expect(died.length).toBeGreaterThanOrEqual(3);
    },
  );

  it('is started again when somebody ends it', async () => {
    const { cluster } = await start();
    const { host } = cluster;
    if (run === undefined) throw new Error('no run');
    const instance = `${host.httpUrl}/runtime/webhooks/durabletask/instances/millrace-supervisor`;
    interface Status {
      readonly customStatus?: { readonly cycle?: number };
    }
    const status = async (): Promise<Status> => {
      const response = await fetch(instance);
      return response.ok ? ((await response.json()) as Status) : {};
    };
    await eventually(status, ({ customStatus }) => (customStatus?.cycle ?? 0) >= 1, 60_000);
    await fetch(`${instance}/terminate?reason=test`, { method: 'POST' });
    await eventually(
      async () => cluster.hostLines.some((line) => line.includes('it has ended (Terminated)')),
      (isStarted) => isStarted,
      60_000,
    );
    const orders = someOrders(300);
    await run.send(orders);
    await run.finish();
    await run.expectOracle();
  });
});
