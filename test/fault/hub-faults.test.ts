// Goal: nothing that the hub or the host does to delivery loses or doubles an event.
import { EventHubConsumerClient } from '@azure/event-hubs';
import { ContainerClient } from '@azure/storage-blob';
import { someOrders } from '../support/orders';
import { eventually } from '../support/outcome';
import { OrdersRun } from './orders-run';

jest.setTimeout(600_000);

describe('hubs and delivery', () => {
  let run: OrdersRun | undefined;

  afterEach(async () => {
    await run?.close();
    run = undefined;
  });

  it.each([
    ['connections drop', { kind: 'drop-connections' }],
    ['links are detached', { kind: 'detach-links' }],
    ['the server is busy for senders', { kind: 'server-busy', count: 5 }],
    ['events come again', { kind: 'rewind', hub: 'orders', count: 300 }],
    ['exchange messages come again', { kind: 'rewind', hub: 'orders-customer', count: 5 }],
    ['events are doubled', { kind: 'duplicate', hub: 'orders', count: 300 }],
  ])('may fail: %s', async (_name, fault) => {
    run = await OrdersRun.start();
    const orders = someOrders(3_000);
    await run.send(orders.slice(0, 1_500));
    await run.untilRead(300);
    await run.cluster.fault(fault);
    await run.send(orders.slice(1_500));
    await run.finish();
    await run.expectOracle();
  });

  it('may die: the emulator is killed and started on its data', async () => {
    run = await OrdersRun.start();
    const orders = someOrders(3_000);
    await run.send(orders.slice(0, 1_500));
    await run.untilRead(300);
    await run.cluster.restartEmulator();
    await run.send(orders.slice(1_500));
    await run.finish();
    await run.expectOracle();
  });

  it('may forget: the host’s checkpoints are deleted and everything is delivered again', async () => {
    run = await OrdersRun.start();
    const orders = someOrders(3_000);
    await run.send(orders.slice(0, 1_500));
    await run.untilRead(1_500);
    const checkpoints = new ContainerClient(
      run.cluster.storageConnectionString,
      'azure-webjobs-eventhub',
    );
    for (const { id } of run.cluster.host.workers) run.cluster.host.killWorker(id);
    for await (const { name } of checkpoints.listBlobsFlat()) await checkpoints.deleteBlob(name);
    await run.send(orders.slice(1_500));
    await run.finish();
    await run.expectOracle();
  });

  it('may skip: the host’s checkpoints are ahead of what was committed', async () => {
    run = await OrdersRun.start();
    const orders = someOrders(3_000);
    await run.send(orders.slice(0, 1_500));
    await run.untilRead(1_500);
    const workers = run.cluster.host.workers.slice();
    for (const { pid } of workers) process.kill(pid, 'SIGSTOP');
    await run.send(orders.slice(1_500, 2_100));
    await moveCheckpointsToTheEnd(run, 'orders');
    for (const { id } of workers) run.cluster.host.killWorker(id);
    await run.send(orders.slice(2_100));
    await run.finish();
    await run.expectOracle();
    // Read from the hub before the next batch, or by who finds input that waits: whoever comes first.
    const lines = run.cluster.hostLines.filter((line) => /task\.(?:gap|stalled)/.test(line));
    expect(lines).not.toEqual([]);
  });

  it.each([
    ['while workers run', false],
    ['twice, while no worker lives', true],
  ])(
    'may be promoted without their last events, %s: the loss is declared',
    async (_name, isDown) => {
      run = await OrdersRun.start();
      const orders = someOrders(3_000);
      await run.send(orders.slice(0, 1_500));
      await run.untilRead(1_500);
      const { host } = run.cluster;
      const workers = isDown ? host.workers.slice() : [];
      for (const { pid } of workers) process.kill(pid, 'SIGSTOP');
      await run.cluster.fault({ kind: 'promote', lose: 40, hub: 'orders' });
      if (isDown) await run.cluster.fault({ kind: 'promote', lose: 30, hub: 'orders' });
      await run.send(orders.slice(1_500));
      for (const { id } of workers) host.killWorker(id);
      await run.finish();
      // What was read before counts, what has its numbers now as well.
      await run.expectOracle();
      const lives = (await run.tasks()).filter(({ stage }) => stage === 'orders');
      const promoted = lives.filter(({ incarnation }) => incarnation.endsWith('x0001'));
      const lost = isDown ? 70 : 40;
      expect(promoted.map(({ declared }) => declared)).toEqual(
        [0, 1].map(() => [
          expect.objectContaining({
            ...{ reason: 'hub-promoted', events: null },
            ...{ fromSequenceNumber: 750 - lost, toSequenceNumber: 749 },
          }),
        ]),
      );
      expect(run.cluster.hostLines.some((line) => line.includes('task.hub-promoted'))).toBe(true);
    },
  );

  it('may be recreated: the new incarnation carries the state on', async () => {
    run = await OrdersRun.start();
    const orders = someOrders(3_000);
    await run.send(orders.slice(0, 1_500));
    await run.untilRead(1_500);
    await run.cluster.recreateHub('orders');
    await run.send(orders.slice(1_500));
    await run.finish();
    await run.expectOracle();
  });

  it('may be recreated and hold less than before: triggers do not stand still at old checkpoints', async () => {
    run = await OrdersRun.start();
    const orders = someOrders(1_700);
    await run.send(orders.slice(0, 1_500));
    await run.untilRead(1_500);
    await run.cluster.recreateHub('orders');
    await run.send(orders.slice(1_500));
    await run.untilRead(1_700);
    // The trigger's own: of the new hub, whose partitions have hundred messages each.
    const checkpoints = await eventually(
      () => checkpointsOf(run as OrdersRun, 'orders'),
      (found) => found.length === 2 && found.every(({ sequenceNumber }) => sequenceNumber < 100),
      150_000,
    );
    expect(checkpoints.map(({ sequenceNumber }) => sequenceNumber)).toEqual([99, 99]);
    await run.finish();
    await run.expectOracle();
  });
});

async function checkpointsOf(
  { cluster }: OrdersRun,
  hub: string,
): Promise<{ readonly name: string; readonly sequenceNumber: number }[]> {
  const container = new ContainerClient(cluster.storageConnectionString, 'azure-webjobs-eventhub');
  const found = [];
  for await (const { metadata, name } of container.listBlobsFlat({ includeMetadata: true })) {
    const [, ofHub, , kind] = name.split('/');
    if (ofHub !== hub || kind !== 'checkpoint') continue;
    found.push({ name, sequenceNumber: Number(metadata?.['sequencenumber']) });
  }
  return found;
}

/** As a host does that took a failed batch for done: the events before the hub's end are skipped. */
async function moveCheckpointsToTheEnd(run: OrdersRun, hub: string): Promise<void> {
  const { cluster } = run;
  const client = new EventHubConsumerClient('$Default', cluster.emulator.connectionString, hub);
  const container = new ContainerClient(cluster.storageConnectionString, 'azure-webjobs-eventhub');
  let moved = 0;
  for await (const { name } of container.listBlobsFlat()) {
    const [, ofHub, , kind, partition = ''] = name.split('/');
    if (ofHub !== hub || kind !== 'checkpoint') continue;
    const { lastEnqueuedOffset, lastEnqueuedSequenceNumber } =
      await client.getPartitionProperties(partition);
    await container.getBlobClient(name).setMetadata({
      offset: String(lastEnqueuedOffset),
      sequencenumber: String(lastEnqueuedSequenceNumber),
    });
    moved += 1;
  }
  await client.close();
  expect(moved).toBeGreaterThan(0);
}
