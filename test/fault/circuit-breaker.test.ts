// Goal: while a table cannot be committed to, workers leave it alone together; then all is there.
// Method: a proxy before Azurite refuses table commits for a while; real processes.
import { openStore } from '../../cli/store';
import { readBreakers } from '../../shared/breaker/circuit-breaker';
import { someOrders } from '../support/orders';
import { startStoreFaultProxy, type StoreFaultProxy } from '../support/store-fault-proxy';
import { eventually } from '../support/outcome';
import { OrdersRun } from './orders-run';

jest.setTimeout(600_000);

describe('a table that cannot be written', () => {
  let run: OrdersRun | undefined;
  let proxy: StoreFaultProxy | undefined;

  afterEach(async () => {
    await run?.close();
    await proxy?.stop();
  });

  it('is left alone by all workers, and has every row once when it can be written again', async () => {
    run = await OrdersRun.start({
      storeConnectionString: async (azurite) => {
        proxy = await startStoreFaultProxy(azurite.blobPort);
        return proxy.connectionString;
      },
    });
    proxy?.inject({
      ...{ method: 'PUT', path: /tables\/orders_paid\/_delta_log/, after: 1, times: 40 },
      fault: { kind: 'status', status: 503 },
    });
    const orders = someOrders(3_000);
    await run.send(orders);
    const { appends } = openStore(run.cluster.storageConnectionString);
    await eventually(
      () => readBreakers(appends),
      (breakers) =>
        breakers.some(({ name, phase }) => name === 'table orders_paid' && phase !== 'closed'),
      120_000,
    );
    await run.finish({ timeoutMs: 300_000 });
    await run.expectOracle();
    const [breaker] = await readBreakers(appends);
    expect(breaker).toMatchObject({ name: 'table orders_paid', phase: 'closed' });
    const closed = run.cluster.hostLines.filter((line) => line.includes('sink.closed'));
    expect(closed.length).toBeGreaterThan(0);
  });
});
