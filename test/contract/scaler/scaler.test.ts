// Goal: the scaler counts what the app's triggers have not processed, the platform's way, and
// scaling by its votes loses nothing.
// Method: the real stack: emulator over sockets, Azurite, worker processes of the orders app.
import { HubPositions } from '../../../local/scaler/hub-positions';
import { Scaler } from '../../../local/scaler/scaler';
import { platformPace, unprocessedEvents } from '../../../local/scaler/target';
import { OrdersRun } from '../../fault/orders-run';
import { eventually } from '../../support/outcome';
import { someOrders } from '../../support/orders';

jest.setTimeout(600_000);

const waitMs = 150_000;

describe('the scaler on a real stack', () => {
  let run: OrdersRun | undefined;
  let scaler: Scaler | undefined;
  let positions: HubPositions | undefined;

  afterEach(async () => {
    await scaler?.close();
    await positions?.close();
    await run?.close();
    run = scaler = positions = undefined;
  });

  it('reads ends of hubs and checkpoints for every trigger of the app', async () => {
    run = await OrdersRun.start({ workers: 1 });
    const { host } = run.cluster;
    expect(host.hubTriggers.map(({ functionName }) => functionName).sort()).toEqual(
      run.cluster.plan.stages.map(({ functionName }) => functionName).sort(),
    );
    const reading = (positions = new HubPositions(host.scaling.settings));
    const source = host.hubTriggers.find(({ eventHubName }) => eventHubName === 'orders');
    if (source === undefined) throw new Error('the app has no trigger on the hub orders');
    expect((await reading.read(source)).map(({ isEmpty }) => isEmpty)).toEqual([true, true]);

    await run.send(someOrders(1_000));
    await run.untilRead(1_000);
    // The last batch is checkpointed a moment after its commit.
    await eventually(
      () => reading.read(source),
      (partitions) => partitions.every((partition) => unprocessedEvents(partition) === 0),
      waitMs,
    );
    // Nobody reads now: what is sent stays unprocessed, to the event.
    await host.drain();
    await run.send(someOrders(300, 2));
    const partitions = await reading.read(source);
    expect(partitions.map(unprocessedEvents)).toEqual([150, 150]);
    expect(partitions.every(({ checkpointSequenceNumber }) => checkpointSequenceNumber === 499));
  });

  it('goes from 1 to 3 workers and back while events flow, and the tables are the oracle’s', async () => {
    run = await OrdersRun.start({
      workers: 1,
      partitionCount: 4,
      hostJson: {
        extensions: {
          eventHubs: {
            maxEventBatchSize: 200,
            prefetchCount: 600,
            targetUnprocessedEventThreshold: 100,
          },
        },
      },
    });
    const { host, hostLines } = run.cluster;
    scaler = new Scaler({
      host,
      positions: new HubPositions(host.scaling.settings),
      triggers: () => host.hubTriggers,
      threshold: host.scaling.eventHubs.targetUnprocessedEventThreshold,
      mode: 'automatic',
      range: { min: 1, max: 3 },
      pace: { ...platformPace, voteIntervalMs: 500, scaleInHoldMs: 2_000 },
      log: (line) => hostLines.push(line),
    });
    const orders = someOrders(9_000);
    await run.send(orders.slice(0, 6_000));
    scaler.start();
    await eventually(
      async () => host.workers.length,
      (count) => count === 3,
      waitMs,
    );
    await run.send(orders.slice(6_000, 8_000));
    await run.untilRead(8_000);
    // A trickle below the threshold goes on while workers drain and leave.
    let sent = 8_000;
    while (host.workers.length > 1 || sent < orders.length) {
      if (sent < orders.length) {
        await run.send(orders.slice(sent, sent + 10));
        sent += 10;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(scaler.state).toMatchObject({ mode: 'automatic', workers: 1, fault: null });
    await run.finish();
    await run.expectOracle();
    const steps = hostLines.filter((line) => /Scaler: \d+ → \d+/.test(line));
    expect(steps.some((line) => line.includes('→ 3'))).toBe(true);
    expect(steps.at(-1)).toContain('→ 1');
  });
});
