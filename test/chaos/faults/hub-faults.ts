import { EventHubConsumerClient } from '@azure/event-hubs';
import { ContainerClient } from '@azure/storage-blob';
import { pause, type FaultKind, type FaultSite } from './fault';

const checkpointContainer = 'azure-webjobs-eventhub';

export const hubFaults: readonly FaultKind[] = [
  {
    name: 'drop-connections',
    rows: 'F10',
    text: 'the hub drops all connections',
    weight: 2,
    strike: (site) => atEmulator(site, { kind: 'drop-connections' }),
  },
  {
    name: 'detach-links',
    rows: 'F10',
    text: 'the hub detaches the links of readers or of senders',
    weight: 2,
    strike: (site, random) =>
      atEmulator(site, { kind: 'detach-links', direction: random.pick(['receive', 'send']) }),
  },
  {
    name: 'hub-busy',
    rows: 'F10',
    text: 'the hub refuses senders or readers: server busy, or an internal error',
    weight: 2,
    strike: (site, random) => {
      const count = random.between(1, 8);
      const direction = random.pick(['receive', 'send']);
      return random.chance(0.6)
        ? atEmulator(site, { kind: 'server-busy', direction, count })
        : atEmulator(site, {
            ...{ kind: 'refuse', direction, count },
            condition: 'amqp:internal-error',
          });
    },
  },
  {
    name: 'hub-slow',
    rows: 'F8 F10',
    text: 'the hub takes seconds to hand events over',
    weight: 1,
    strike: (site, random) => {
      const count = random.between(1, 6);
      return atEmulator(site, { kind: 'delay', count, milliseconds: random.between(300, 3_000) });
    },
  },
  {
    name: 'deliver-again',
    rows: 'F11',
    text: 'a hub, source or exchange, hands its last messages over again',
    weight: 2,
    strike: (site, random) => {
      const { name } = random.pick(site.cluster.plan.hubs);
      const kind = random.pick(['rewind', 'duplicate']);
      return atEmulator(site, { kind, hub: name, count: random.between(5, 2_000) });
    },
  },
  {
    name: 'kill-hub',
    rows: 'F10',
    text: 'kill -9 of the emulator, which is started again on its data',
    weight: 2,
    strike: (site) =>
      site.emulatorTurns.take(async () => {
        const atMs = Date.now();
        await site.cluster.restartEmulator();
        site.outage('kill-hub', atMs);
        return `away for ${Date.now() - atMs} ms`;
      }),
  },
  {
    name: 'recreate-hub',
    rows: 'F20',
    text: 'the hub of orders, when all of it was read, is deleted and created again',
    weight: 1,
    strike: async (site) => {
      const { load } = site.orders;
      let isDone = false;
      await load.whileQuiet(() =>
        site.emulatorTurns.take(async () => {
          await site.cluster.recreateHub(load.hub);
          site.recreated(load.hub);
          isDone = true;
        }),
      );
      return isDone ? load.hub : 'the run ended before';
    },
  },
  {
    name: 'steal-leases',
    rows: 'F3',
    text: 'the host’s ownership of a hub’s partitions is taken away, twice in a row',
    weight: 2,
    strike: async (site, random) => {
      const { name } = random.pick(site.cluster.plan.hubs);
      const pauseMs = random.between(100, 1_500);
      const first = await eachBlob(site, name, 'ownership', (blob) => blob.deleteIfExists());
      await pause(pauseMs);
      const second = await eachBlob(site, name, 'ownership', (blob) => blob.deleteIfExists());
      return `${name}: ${first}, then ${second} partitions`;
    },
  },
  {
    name: 'checkpoints-deleted',
    rows: 'F21',
    text: 'the host’s checkpoints of a hub are deleted and its readers killed',
    weight: 1,
    strike: async (site, random) => {
      const { name } = random.pick(site.cluster.plan.hubs);
      const deleted = await eachBlob(site, name, 'checkpoint', (blob) => blob.deleteIfExists());
      killAll(site, 'checkpoints-deleted');
      return `${name}: ${deleted} checkpoints`;
    },
  },
  {
    name: 'checkpoints-rolled-back',
    rows: 'F21',
    text: 'the host’s checkpoints of a hub are as they were seconds ago, and its readers killed',
    weight: 1,
    strike: async (site, random) => {
      const { name } = random.pick(site.cluster.plan.hubs);
      const forMs = random.between(2_000, 6_000);
      const before = new Map<string, Record<string, string>>();
      await eachBlob(site, name, 'checkpoint', async (blob) => {
        const { metadata = {} } = await blob.getProperties();
        before.set(blob.name, metadata);
      });
      await pause(forMs);
      const rolled = await eachBlob(site, name, 'checkpoint', async (blob) => {
        const metadata = before.get(blob.name);
        if (metadata !== undefined) await blob.setMetadata(metadata);
      });
      killAll(site, 'checkpoints-rolled-back');
      return `${name}: ${rolled} checkpoints by ${forMs} ms`;
    },
  },
  {
    name: 'checkpoints-ahead',
    rows: 'F21',
    text: 'the host’s checkpoints of a hub are moved to its end while all workers are frozen, which are then killed',
    weight: 1,
    strike: async (site, random) => {
      const { name } = random.pick(site.cluster.plan.hubs);
      const frozen = site.workers.alive.filter((one) =>
        site.workers.freeze(one, 'checkpoints-ahead'),
      );
      await pause(random.between(500, 1_500));
      const moved = await site.emulatorTurns.take(() => moveToTheEnd(site, name));
      for (const worker of frozen) site.workers.kill(worker, 'checkpoints-ahead');
      return `${name}: ${moved} checkpoints`;
    },
  },
  {
    name: 'idle-partition',
    rows: 'F13',
    text: 'nothing is sent to one partition of orders, or to all, for some seconds: it falls idle',
    weight: 2,
    strike: async (site, random) => {
      const { load } = site.orders;
      const partition = random.below(site.partitionCount);
      const forMs = random.between(3_000, 8_000);
      const isWhole = random.chance(0.3);
      for (let one = 0; one < site.partitionCount; one += 1) {
        if (isWhole || one === partition) load.pause(one, forMs);
      }
      await pause(forMs);
      return `${load.hub}${isWhole ? '' : `/${partition}`} for ${forMs} ms`;
    },
  },
];

async function atEmulator(
  { cluster, emulatorTurns }: FaultSite,
  body: Readonly<Record<string, unknown>>,
): Promise<string> {
  await emulatorTurns.take(() => cluster.fault(body));
  return JSON.stringify(body);
}

function killAll({ workers }: FaultSite, cause: string): void {
  for (const worker of workers.alive) workers.kill(worker, cause);
}

type BlobOfHost = ReturnType<ContainerClient['getBlobClient']>;

async function eachBlob(
  { cluster, storageTurns }: FaultSite,
  hub: string,
  kind: 'ownership' | 'checkpoint',
  work: (blob: BlobOfHost) => Promise<unknown>,
): Promise<number> {
  return storageTurns.take(async () => {
    const container = new ContainerClient(cluster.storageConnectionString, checkpointContainer);
    let count = 0;
    for await (const { name } of container.listBlobsFlat()) {
      const [, ofHub, , ofKind] = name.split('/');
      if (ofHub !== hub.toLowerCase() || ofKind !== kind) continue;
      await work(container.getBlobClient(name));
      count += 1;
    }
    return count;
  });
}

/** As a host does that took failed batches for done: what lies before the hub's end is skipped. */
async function moveToTheEnd(site: FaultSite, hub: string): Promise<number> {
  const { connectionString } = site.cluster.emulator;
  const client = new EventHubConsumerClient('$Default', connectionString, hub);
  try {
    return await eachBlob(site, hub, 'checkpoint', async (blob) => {
      const partition = blob.name.split('/').at(-1) ?? '';
      const { lastEnqueuedOffset, lastEnqueuedSequenceNumber } =
        await client.getPartitionProperties(partition);
      await blob.setMetadata({
        offset: String(lastEnqueuedOffset),
        sequencenumber: String(lastEnqueuedSequenceNumber),
      });
    });
  } finally {
    await client.close();
  }
}
