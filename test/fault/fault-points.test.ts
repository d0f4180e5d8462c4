// Goal: a worker killed with SIGKILL at any named point of commit, roll, send or flush loses and
// doubles nothing. Method: one run per point; the worker takes a token file away and kills itself,
// so a point that is never reached is found by its token.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commitLogFaultPoints } from '../../shared/commit-log/fault-points';
import { lakeFaultPoints } from '../../shared/lake/fault-points';
import { stageFaultPoints } from '../../shared/task/services';
import { someOrders } from '../support/orders';
import { OrdersRun } from './orders-run';

jest.setTimeout(600_000);

// A table's checkpoint comes with every 50th version: test/property/exactly-once reaches it.
const points = [...stageFaultPoints, ...commitLogFaultPoints, ...lakeFaultPoints].filter(
  (point) => !point.includes('checkpoint'),
);

describe('a worker killed at', () => {
  let run: OrdersRun | undefined;
  let folder = '';

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-fault-'));
  });

  afterEach(async () => {
    await run?.close();
    run = undefined;
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(points)('%s loses and doubles nothing', async (point) => {
    const token = join(folder, 'token');
    writeFileSync(token, point);
    run = await OrdersRun.start({
      workers: 1,
      settings: {
        MILLRACE_FAULT_POINT: point,
        MILLRACE_FAULT_TOKEN: token,
        MILLRACE_LOG_BLOCKS_MAX: '6',
        MILLRACE_FLUSH_ROWS_MAX: '200',
      },
    });
    const orders = someOrders(1_600);
    await run.send(orders);
    await run.finish();
    await run.expectOracle();
    expect([point, existsSync(token)]).toEqual([point, false]);
  });
});
