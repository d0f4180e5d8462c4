// Goal: tables and ledger are right whatever becomes of worker processes.
// Method: real processes: emulator, Azurite, host with workers; kill -9, SIGSTOP, scale in and out.
import { someOrders } from '../support/orders';
import { OrdersRun } from './orders-run';

jest.setTimeout(600_000);

describe('workers', () => {
  let run: OrdersRun | undefined;

  afterEach(async () => {
    await run?.close();
    run = undefined;
  });

  it('give the oracle’s tables when nothing happens', async () => {
    run = await OrdersRun.start();
    await run.send(someOrders(3_000));
    await run.finish();
    await run.expectOracle();
  });

  it('may be killed with kill -9 while events flow', async () => {
    run = await OrdersRun.start();
    const orders = someOrders(6_000);
    for (let start = 0; start < orders.length; start += 1_500) {
      await run.send(orders.slice(start, start + 1_500));
      await run.untilRead(start + 200);
      const [victim] = run.cluster.host.workers;
      if (victim !== undefined) run.cluster.host.killWorker(victim.id);
    }
    await run.finish();
    await run.expectOracle();
  });

  it('may be stopped past their lease and wake as zombies', async () => {
    run = await OrdersRun.start();
    const orders = someOrders(4_000);
    await run.send(orders.slice(0, 2_000));
    await run.untilRead(300);
    const [frozen] = run.cluster.host.workers;
    if (frozen === undefined) throw new Error('no worker runs');
    process.kill(frozen.pid, 'SIGSTOP');
    await run.send(orders.slice(2_000));
    // The other worker takes the frozen one's partitions over and reads everything.
    await run.untilRead(orders.length);
    process.kill(frozen.pid, 'SIGCONT');
    await run.finish();
    await run.expectOracle();
  });

  it('may be added and removed under load', async () => {
    run = await OrdersRun.start({ workers: 1 });
    const orders = someOrders(6_000);
    await run.send(orders.slice(0, 2_000));
    await run.untilRead(200);
    await run.cluster.host.addWorker();
    await run.send(orders.slice(2_000, 4_000));
    await run.untilRead(2_500);
    const [first] = run.cluster.host.workers;
    if (first !== undefined) await run.cluster.host.removeWorker(first.id);
    await run.send(orders.slice(4_000));
    await run.finish();
    await run.expectOracle();
  });
});
