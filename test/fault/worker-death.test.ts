// Goal: tables and ledger are right whatever becomes of worker processes.
// Method: real processes: emulator, Azurite, host with workers; kill -9, SIGSTOP, scale in and out.
import { someOrders } from '../support/orders';
import { OrdersRun } from './orders-run';

jest.setTimeout(180_000);

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
});
