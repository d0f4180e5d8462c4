// Goal: a store that fails, lies, drags or loses its answers delays commits and nothing else.
// Method: an HTTP proxy before Azurite; `applied` proves that each fault was met.
import { someOrders } from '../support/orders';
import {
  startStoreFaultProxy,
  type FaultRule,
  type StoreFaultProxy,
} from '../support/store-fault-proxy';
import { OrdersRun } from './orders-run';

jest.setTimeout(600_000);

const appends = { method: 'PUT', path: /comp=appendblock/ };
const tableCommits = { method: 'PUT', path: /_delta_log/ };

describe('the store', () => {
  let run: OrdersRun | undefined;
  let proxy: StoreFaultProxy | undefined;

  afterEach(async () => {
    await run?.close();
    await proxy?.stop();
    run = undefined;
    proxy = undefined;
  });

  const cases: [string, FaultRule][] = [
    [
      'answers 500 to appends',
      { ...appends, fault: { kind: 'status', status: 500 }, after: 5, times: 6 },
    ],
    ['answers 503 to everything', { fault: { kind: 'status', status: 503 }, after: 20, times: 12 }],
    [
      'says 412 where nobody appended',
      {
        ...appends,
        fault: { kind: 'status', status: 412, code: 'AppendPositionConditionNotMet' },
        after: 5,
        times: 4,
      },
    ],
    [
      'loses the answers to appends',
      { ...appends, fault: { kind: 'lost-response' }, after: 4, times: 6 },
    ],
    [
      'loses the answers to table commits',
      { ...tableCommits, fault: { kind: 'lost-response' }, after: 1, times: 3 },
    ],
    [
      'says 500 to appends that it carried out',
      { ...appends, fault: { kind: 'masked-response', status: 500 }, after: 4, times: 4 },
    ],
    ['breaks connections', { fault: { kind: 'reset' }, after: 20, times: 10 }],
    ['is slow', { fault: { kind: 'slow', delayMs: 150 }, after: 20, times: 40 }],
  ];

  it.each(cases)('%s', async (_name, rule) => {
    run = await OrdersRun.start({
      storeConnectionString: async (azurite) => {
        proxy = await startStoreFaultProxy(azurite.blobPort);
        return proxy.connectionString;
      },
    });
    proxy?.inject(rule);
    const orders = someOrders(3_000);
    for (let start = 0; start < orders.length; start += 600) {
      await run.send(orders.slice(start, start + 600));
      await run.untilRead(start + 100);
    }
    await run.finish();
    await run.expectOracle();
    expect(proxy?.applied.length).toBeGreaterThan(0);
  });
});
