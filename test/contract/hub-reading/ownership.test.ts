// Goal: partitions find an owner and keep one: checkpoints, killed owners, fair shares, thieves, and the
// SDK's processor on the same container.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { earliestEventPosition, EventHubConsumerClient } from '@azure/event-hubs';
import { build } from 'esbuild';
import { expirationMs, hubName, HubWorld, range } from '../../support/hub-reading';
import { eventually } from '../../support/outcome';

jest.setTimeout(120_000);

let world: HubWorld;

beforeEach(async () => {
  world = await HubWorld.start();
});

afterEach(async () => {
  await world.close();
});

test('reading goes on after the checkpoint', async () => {
  await world.sendEverywhere(0, 50);
  const first = await world.read('resume', { isCheckpointing: true });
  await first.untilRead(200);
  await first.processor.close();
  expect(first.closed.map(({ reason }) => reason)).toEqual(Array(4).fill('shutdown'));
  await world.sendEverywhere(50, 50);
  const second = await world.read('resume', { isCheckpointing: true });
  await second.untilRead(200);
  for (let partition = 0; partition < 4; partition += 1) {
    expect(second.numbers(partition)).toEqual(range(50, 50));
  }
});

test('what was read and not checkpointed comes again', async () => {
  await world.send(0, 0, 50);
  const first = await world.read('again');
  await first.untilRead(50);
  await first.processor.close();
  const second = await world.read('again');
  await second.untilRead(50);
  expect(second.numbers(0)).toEqual(range(0, 50));
});

test('closing waits for the batch in the works, and gives the partitions back at once', async () => {
  await world.send(0, 0, 10);
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let isDone = false;
  const first = await world.read('handover', {
    partitionOwnershipExpirationIntervalMs: 3_600_000,
    isCheckpointing: true,
    onBatch: async () => {
      await finished;
      isDone = true;
    },
  });
  await first.untilRead(10);
  await first.until(({ held }) => held.size === 4);
  const closed = first.processor.close();
  finish();
  await closed;
  expect(isDone).toBe(true);
  // Nothing expires in this test: only what was given back can be claimed.
  const second = await world.read('handover', {
    partitionOwnershipExpirationIntervalMs: 3_600_000,
  });
  await second.until(({ held }) => held.size === 4);
  await world.send(0, 10, 10);
  await second.untilRead(10);
  expect(second.numbers(0)).toEqual(range(10, 10));
});

test('shares are fair: one reader, two, then one again', async () => {
  const numbers = 300;
  const first = await world.read('fair', { isCheckpointing: true });
  await first.until(({ held }) => held.size === 4);
  await world.sendEverywhere(0, numbers / 3);
  const second = await world.read('fair', { isCheckpointing: true });
  await second.until(({ held }) => held.size === 2);
  await first.until(({ held }) => held.size === 2);
  expect([...first.held, ...second.held].sort()).toEqual(['0', '1', '2', '3']);
  expect(first.closed.map(({ reason }) => reason)).toEqual(['ownershipLost', 'ownershipLost']);
  await world.sendEverywhere(numbers / 3, numbers / 3);
  await second.until(({ events }) => events.length >= (2 * numbers) / 3);
  await first.processor.close();
  await second.until(({ held }) => held.size === 4);
  await world.sendEverywhere((2 * numbers) / 3, numbers / 3);
  const all = (partition: number): number[] => [
    ...new Set([...first.numbers(partition), ...second.numbers(partition)]),
  ];
  await second.until(() => [0, 1, 2, 3].every((partition) => all(partition).length === numbers));
  for (let partition = 0; partition < 4; partition += 1) {
    expect(all(partition).sort((a, b) => a - b)).toEqual(range(0, numbers));
  }
});

test('the partitions of a killed process are taken over when its claims expire', async () => {
  await world.checkpoints('killed');
  const parent = resolve(__dirname, '../../../dist/test-apps');
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(join(parent, 'hub-reader-'));
  const program = join(directory, 'main.js');
  await build({
    entryPoints: [resolve(__dirname, '../../fixtures/hub-reader/main.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    packages: 'external',
  });
  await world.sendEverywhere(0, 100);
  const options = {
    connectionString: world.emulator.connectionString,
    eventHubName: hubName,
    consumerGroup: '$Default',
    container: 'killed',
    storage: world.azurite.connectionString,
    maxBatchSize: 10,
    prefetchCount: 300,
    startPosition: 'start',
    loadBalancingUpdateIntervalMs: 200,
    partitionOwnershipExpirationIntervalMs: expirationMs,
    retry: { isFixed: false, maxRetries: 5, delayMs: 20, maxDelayMs: 200 },
    timeoutMs: 10_000,
  };
  const child = spawn(process.execPath, [program, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const seen = new Map<string, number[]>(['0', '1', '2', '3'].map((id) => [id, []]));
  let batches = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const { numbers, partitionId } = JSON.parse(line) as {
      partitionId: string;
      numbers: number[];
    };
    seen.get(partitionId)?.push(...numbers);
    batches += 1;
    const isEverywhere = Array.from(seen.values()).every(({ length }) => length > 0);
    if (isEverywhere && batches >= 12) break;
  }
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  const killedAtMs = Date.now();

  const reader = await world.read('killed', { isCheckpointing: true });
  await reader.until(({ held }) => held.size === 4);
  // A fair share at once; the rest is the dead one's until it expires, a little after the last renewal.
  expect(Date.now() - killedAtMs).toBeGreaterThan(expirationMs - 2_000);
  await world.sendEverywhere(100, 100);
  for (const [partitionId, before] of seen) {
    const after = (): number[] => reader.numbers(Number(partitionId));
    await reader.until(() => after().at(-1) === 199);
    const [first = 0] = after();
    // From the last checkpoint: nothing skipped, nothing again that a checkpoint covers.
    expect(first).toBeGreaterThanOrEqual(before.length);
    expect(first).toBeLessThanOrEqual(before.length + 100);
    expect(after()).toEqual(range(first, 200 - first));
  }
  rmSync(directory, { recursive: true, force: true });
});

test('a thief with a higher level gets the partition, and the owner gets it back when it leaves', async () => {
  await world.sendEverywhere(0, 10);
  const reader = await world.read('thief', { isCheckpointing: true });
  await reader.untilRead(40);
  const thief = new EventHubConsumerClient('$Default', world.emulator.connectionString, hubName);
  const stolen: number[] = [];
  const subscription = thief.subscribe(
    '2',
    {
      processEvents: async (events) => {
        for (const { body } of events) stolen.push(Number(String(body)));
      },
      processError: async () => undefined,
    },
    { ownerLevel: 7, startPosition: earliestEventPosition, skipParsingBodyAsJson: true },
  );
  await reader.until(({ closed }) => closed.some(({ partitionId }) => partitionId === '2'));
  expect(reader.closed[0]).toEqual({ partitionId: '2', reason: 'ownershipLost' });
  await world.sendEverywhere(10, 10);
  await reader.untilRead(70);
  await eventually(
    async () => stolen.length,
    (length) => length >= 20,
    20_000,
  );
  expect(reader.numbers(2)).toEqual(range(0, 10));
  await subscription.close();
  await thief.close();
  await reader.untilRead(80);
  for (let partition = 0; partition < 4; partition += 1) {
    expect(reader.numbers(partition)).toEqual(range(0, 20));
  }
});

test('it shares a hub with the SDK’s EventHubConsumerClient, both ways', async () => {
  const own = await world.read('mixed', { isCheckpointing: true });
  await own.until(({ held }) => held.size === 4);
  await world.sendEverywhere(0, 100);
  await own.untilRead(400);
  const consumer = new EventHubConsumerClient(
    '$Default',
    world.emulator.connectionString,
    hubName,
    await world.checkpoints('mixed'),
    {
      loadBalancingOptions: {
        strategy: 'greedy',
        updateIntervalInMs: 200,
        partitionOwnershipExpirationIntervalInMs: expirationMs,
      },
    },
  );
  const heldBySdk = new Set<string>();
  const bySdk = new Map<string, number[]>();
  const subscription = consumer.subscribe(
    {
      processInitialize: async ({ partitionId }) => void heldBySdk.add(partitionId),
      processClose: async (_reason, { partitionId }) => void heldBySdk.delete(partitionId),
      processError: async () => undefined,
      processEvents: async (events, context) => {
        const numbers = bySdk.get(context.partitionId) ?? [];
        for (const { body } of events) numbers.push(Number(String(body)));
        bySdk.set(context.partitionId, numbers);
        const last = events.at(-1);
        if (last !== undefined) await context.updateCheckpoint(last);
      },
    },
    { startPosition: earliestEventPosition, skipParsingBodyAsJson: true },
  );
  await own.until(({ held }) => held.size === 2 && heldBySdk.size === 2);
  expect([...own.held, ...heldBySdk].sort()).toEqual(['0', '1', '2', '3']);
  await world.sendEverywhere(100, 100);
  const all = (partition: number): number[] => [
    ...own.numbers(partition),
    ...(bySdk.get(String(partition)) ?? []),
  ];
  await own.until(() => [0, 1, 2, 3].every((partition) => new Set(all(partition)).size === 200));
  // The SDK began at our checkpoints: it never saw what they cover.
  for (const partition of heldBySdk) expect(bySdk.get(partition)).toEqual(range(100, 100));
  // And we go on from the SDK's.
  const handedBack = [...heldBySdk].map(Number);
  await subscription.close();
  await consumer.close();
  await own.until(({ held }) => held.size === 4);
  await world.sendEverywhere(200, 10);
  await own.until(() => [0, 1, 2, 3].every((partition) => own.numbers(partition).at(-1) === 209));
  for (const partition of handedBack) {
    expect(own.numbers(partition)).toEqual([...range(0, 100), ...range(200, 10)]);
  }
});
