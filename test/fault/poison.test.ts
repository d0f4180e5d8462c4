// Goal: one bad event costs one dead letter, whatever it does, and nothing else.
import { stuckFunctions } from '../../cli/troubles';
import { gzipSync } from 'node:zlib';
import { someOrders, type Order } from '../support/orders';
import { OrdersRun } from './orders-run';

jest.setTimeout(600_000);

const aBadOrder = (harm: string): Order => ({
  id: 999_999,
  customer: 'customer-1',
  time: Date.UTC(2026, 0, 1),
  amount: 1,
  harm,
});

describe('poison', () => {
  let run: OrdersRun | undefined;

  afterEach(async () => {
    await run?.close();
    run = undefined;
  });

  const codes = async (): Promise<string[]> =>
    ((await run?.tasks()) ?? []).flatMap(({ deadLetters }) => deadLetters.map(({ code }) => code));

  it.each([
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00]), 'STREAM_EVENT_UNDECODABLE'],
    ['text that is no JSON', Buffer.from('{"id": 1,'), 'STREAM_EVENT_UNDECODABLE'],
    ['an event of another shape', Buffer.from('{"id":"one"}'), 'STREAM_EVENT_INVALID'],
  ])('%s is dead-lettered', async (_name, body, code) => {
    run = await OrdersRun.start({ workers: 1 });
    const orders = someOrders(600);
    await run.send(orders.slice(0, 300));
    await run.cluster.send('orders', 0, [body]);
    await run.send(orders.slice(300));
    await run.finish({ extraMessages: 1 });
    await run.expectOracle();
    expect(await codes()).toEqual([code]);
  });

  it('gzip of 16 million brackets is dead-lettered by a worker with a small heap', async () => {
    run = await OrdersRun.start({
      workers: 1,
      workerExecArgv: ['--max-old-space-size=256', '--max-semi-space-size=8'],
    });
    const orders = someOrders(200);
    await run.send(orders.slice(0, 100));
    await run.cluster.send('orders', 0, [
      gzipSync('['.repeat(16_000_000)),
      gzipSync(`{"a":[${'[],'.repeat(8_000_000)}[]]}`),
    ]);
    await run.send(orders.slice(100));
    await run.finish({ extraMessages: 2, timeoutMs: 400_000 });
    await run.expectOracle();
    expect(await codes()).toEqual(['STREAM_EVENT_UNDECODABLE', 'STREAM_EVENT_UNDECODABLE']);
  });

  it.each([
    ['throw', 'STREAM_USER_FUNCTION_THREW', {}],
    ['exit', 'STREAM_EVENT_KILLED_WORKER', {}],
    // Longer than a loaded machine takes to begin its first batch: sooner, nothing would get on.
    ['loop', 'STREAM_EVENT_KILLED_WORKER', { hostJson: { functionTimeout: '00:00:06' } }],
    [
      'memory',
      'STREAM_EVENT_KILLED_WORKER',
      { workerExecArgv: ['--max-old-space-size=120', '--max-semi-space-size=8'] },
    ],
  ] as const)(
    'an order that makes user code %s is alone in its dead letter',
    async (harm, code, options) => {
      run = await OrdersRun.start({ workers: 1, ...options });
      const orders = someOrders(300);
      const { host } = run.cluster;
      const stuck = new Set<string>();
      const watching = setInterval(() => {
        for (const { short } of stuckFunctions(host, Date.now())) stuck.add(short);
      }, 100);
      try {
        await run.send([...orders.slice(0, 150), aBadOrder(harm), ...orders.slice(150)]);
        await run.finish({ timeoutMs: 400_000 });
      } finally {
        clearInterval(watching);
      }
      await run.expectOracle();
      expect(await codes()).toEqual([code]);
      if (harm !== 'loop') return;
      // Before the time-out has isolated it, the screen says where it hangs.
      const said = [...stuck].filter((text) =>
        /^STUCK orders-orders on partition \d, sequence numbers? \d+/.test(text),
      );
      expect(said).not.toEqual([]);
    },
  );
});
