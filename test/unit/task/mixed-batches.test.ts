// Goal: a batch in which a hub mixed new, old and new events again, or left some out, takes each
// event once. Such a batch once set the cursor back, and everything after it came again and again.
import fc from 'fast-check';
import type { HubMessage } from '../../../shared/model/ports';
import { contiguousPrefix, freshMessages } from '../../../shared/task/batch-order';
import { topologies } from '../../fixtures/topologies/orders';
import { expectedMinutes, expectedPaid, someOrders } from '../../support/orders';
import { StageWorld } from '../../support/stage-world';

const message = (sequenceNumber: number): HubMessage => ({
  sequenceNumber,
  enqueuedTimeMs: 0,
  body: new Uint8Array(),
});
const numbers = (messages: readonly HubMessage[]): number[] =>
  messages.map(({ sequenceNumber }) => sequenceNumber);

const orders = someOrders(300);

/** Delivers batches given as ranges of sequence numbers, and drains. */
async function run(batches: readonly (readonly (readonly [number, number])[])[]) {
  const world = new StageWorld({ topologies, partitionCount: 1 });
  for (const order of orders) world.hub('orders').append(0, Buffer.from(JSON.stringify(order)));
  const worker = world.worker();
  const held = world.hub('orders').messages(0);
  for (const ranges of batches) {
    await worker.processBatch({
      functionName: 'orders-orders',
      partition: '0',
      messages: ranges.flatMap(([from, to]) => held.slice(from, to)),
      deadlineMs: Infinity,
    });
  }
  await world.finish(worker);
  const [ledger] = await world.worker().ledgers('orders-orders');
  return {
    ledger,
    paid: await world.rows('orders_paid'),
    minutes: await world.rows('customer_minutes'),
  };
}

describe('a batch', () => {
  it('that goes back in its middle does not set the cursor back', async () => {
    const { ledger, minutes, paid } = await run([
      [[0, 100]],
      [
        [100, 150],
        [50, 200],
        [120, 130],
      ],
      [[140, 300]],
    ]);
    expect(ledger).toMatchObject({ read: 300, gap: 0 });
    expect(paid).toEqual(expectedPaid(orders));
    expect(minutes).toEqual(expectedMinutes(orders));
  });

  it('with a hole has it filled from the hub: nothing is declared lost that is there', async () => {
    const { ledger, paid } = await run([
      [
        [0, 40],
        [80, 120],
      ],
      [
        [150, 160],
        [200, 300],
      ],
    ]);
    expect(ledger).toMatchObject({ read: 300, gap: 0 });
    expect(paid).toEqual(expectedPaid(orders));
  });

  it('of any order gives each message from a position on once, ascending', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30)), fc.nat(30), (sequence, from) => {
        const fresh = numbers(freshMessages(sequence.map(message), from));
        expect(
          fresh.every((number, index) => number >= from && number > (fresh[index - 1] ?? -1)),
        ).toBe(true);
        const reachable = sequence.filter((number) => number >= from);
        expect(fresh.at(-1) ?? -1).toBe(Math.max(-1, ...reachable));
        const prefix = numbers(contiguousPrefix(fresh.map(message)));
        expect(prefix).toEqual(fresh.slice(0, prefix.length));
        expect(prefix).toEqual(prefix.map((_, index) => (prefix[0] ?? 0) + index));
      }),
    );
  });
});
