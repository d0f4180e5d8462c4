// Goal: whatever the hub does to links and connections, nothing is skipped and nothing comes twice.
import { hubName, HubWorld, range } from '../../support/hub-reading';

jest.setTimeout(60_000);

let world: HubWorld;

beforeEach(async () => {
  world = await HubWorld.start();
});

afterEach(async () => {
  await world.close();
});

test.each([
  ['connections drop', { kind: 'drop-connections' }],
  ['links are detached', { kind: 'detach-links' }],
  ['the server is busy for receivers', { kind: 'server-busy', direction: 'receive', count: 3 }],
])('%s while events flow', async (_name, fault) => {
  const each = 3_000;
  await world.sendEverywhere(0, each / 3);
  const reader = await world.read('faults', {
    onBatch: () => new Promise((resolve) => setTimeout(resolve, 1)),
  });
  await reader.untilRead(500);
  await world.fault(fault);
  await world.sendEverywhere(each / 3, each / 3);
  await reader.untilRead(each);
  await world.fault(fault);
  await world.sendEverywhere((2 * each) / 3, each / 3);
  await reader.untilRead(each * world.partitionCount);
  for (let partition = 0; partition < world.partitionCount; partition += 1) {
    expect(reader.numbers(partition)).toEqual(range(0, each));
  }
  // Not a partition was given up: no checkpoint was needed.
  expect(reader.closed).toEqual([]);
  expect(reader.errors.length).toBeGreaterThan(0);
  expect(reader.inFlightMax).toBe(1);
});

test('a fault while nothing flows goes unnoticed', async () => {
  await world.sendEverywhere(0, 10);
  const reader = await world.read('idle');
  await reader.untilRead(40);
  for (const kind of ['drop-connections', 'detach-links', 'drop-connections']) {
    const before = reader.errors.length;
    // Links may be on their way back from the fault before, out of reach of this one.
    await reader.until(({ errors }) => {
      if (errors.length === before) void world.fault({ kind });
      return errors.length > before;
    });
  }
  await world.sendEverywhere(10, 10);
  await reader.untilRead(80);
  for (let partition = 0; partition < world.partitionCount; partition += 1) {
    expect(reader.numbers(partition)).toEqual(range(0, 20));
  }
});

test('events that the hub sends again come again', async () => {
  await world.send(0, 0, 100);
  const reader = await world.read('rewound');
  await reader.untilRead(100);
  await world.fault({ kind: 'rewind', hub: hubName, partition: '0', count: 10 });
  await reader.untilRead(110);
  expect(reader.numbers(0)).toEqual([...range(0, 100), ...range(90, 10)]);
});

test('a checkpoint beyond the hub’s end is reported, and reading begins when the hub gets there', async () => {
  const store = await world.checkpoints('beyond');
  await world.send(0, 0, 1);
  await store.updateCheckpoint({
    fullyQualifiedNamespace: 'localhost',
    eventHubName: hubName,
    consumerGroup: '$Default',
    partitionId: '0',
    offset: '1000',
    sequenceNumber: 50,
  });
  const reader = await world.read('beyond');
  await reader.until(({ errors }) => errors.length >= 2);
  expect(reader.errors[0]).toMatch(
    /readings, partition 0: The supplied offset '1000' is invalid. The last offset in the system is '\d+' \(com.microsoft:argument-error\)/,
  );
  expect(reader.closed[0]).toEqual({ partitionId: '0', reason: 'failed' });
  expect(reader.numbers(0)).toEqual([]);
  await world.send(0, 1, 100);
  await reader.until(() => reader.numbers(0).at(-1) === 100);
});

test('a function that throws ends the reading, which begins again at the checkpoint', async () => {
  await world.send(0, 0, 10);
  let failures = 0;
  const reader = await world.read('throws', {
    isCheckpointing: true,
    onBatch: (events) => {
      if (failures > 0 || events[0]?.sequenceNumber === 0) return;
      failures += 1;
      throw new Error('not this one');
    },
  });
  await reader.untilRead(10);
  await world.send(0, 10, 5);
  await reader.untilRead(20);
  expect(reader.errors).toEqual(['not this one']);
  expect(reader.numbers(0)).toEqual([...range(0, 10), ...range(10, 5), ...range(10, 5)]);
});

test('a hub that is recreated is read again', async () => {
  await world.sendEverywhere(0, 10);
  const reader = await world.read('recreated');
  await reader.untilRead(40);
  await world.control('POST', `/hubs/${hubName}/recreate`);
  await reader.until(({ closed }) => closed.length >= world.partitionCount);
  expect(reader.errors[0]).toMatch(/could not be found/);
  await world.sendEverywhere(100, 10);
  await reader.untilRead(80);
  for (let partition = 0; partition < world.partitionCount; partition += 1) {
    expect(reader.numbers(partition)).toEqual([...range(0, 10), ...range(100, 10)]);
  }
});

test('an emulator that is not there is reported until the reader is closed', async () => {
  const reader = await world.read('nobody', {
    connectionString: 'Endpoint=sb://127.0.0.1:1;UseDevelopmentEmulator=true',
  });
  await reader.until(({ errors }) => errors.length >= 2);
  expect(reader.errors[0]).toMatch(/127\.0\.0\.1:1: .*ECONNREFUSED.*connection-lost/);
  await reader.processor.close();
});

test('a wrong key in the connection string is reported with what to do', async () => {
  const reader = await world.read('stranger', {
    connectionString: world.emulator.connectionString.replace('SAS_KEY_VALUE', 'another'),
  });
  await reader.until(({ errors }) => errors.length >= 1);
  expect(reader.errors[0]).toMatch(/SharedAccessKey: use the one that it prints at its start/);
  await reader.processor.close();
});
