// Goal: two consumers share a hub's partitions through the SDK's own blob checkpoint store, take over
// what one leaves behind, and go on from its checkpoints.
import { EventHubConsumerClient, type Subscription } from '@azure/event-hubs';
import { BlobCheckpointStore } from '@azure/eventhubs-checkpointstore-blob';
import { ContainerClient } from '@azure/storage-blob';
import { startAzurite, type Azurite } from '../../support/azurite';
import { openTestNamespace, type TestNamespace } from '../../support/event-hubs-namespace';

jest.setTimeout(60_000);

let azurite: Azurite;
let namespace: TestNamespace;

beforeAll(async () => {
  [azurite, namespace] = await Promise.all([startAzurite(), openTestNamespace()]);
});

afterAll(async () => {
  await namespace.close();
  await azurite.stop();
});

interface Worker {
  readonly partitions: Set<string>;
  readonly bodies: string[];
  close(): Promise<void>;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}

test.each(['greedy', 'balanced'] as const)('%s: shared, stolen, taken over', async (strategy) => {
  const container = new ContainerClient(azurite.connectionString, `checkpoints-${strategy}`);
  await container.create();
  const producer = namespace.producer();
  const hubBefore = Date.now();
  const start = (): Worker => {
    const client = new EventHubConsumerClient(
      '$Default',
      namespace.connectionString,
      namespace.hub,
      new BlobCheckpointStore(container),
      {
        loadBalancingOptions: {
          strategy,
          updateIntervalInMs: 200,
          partitionOwnershipExpirationIntervalInMs: 2_000,
        },
        retryOptions: { maxRetries: 1, retryDelayInMs: 100 },
      },
    );
    const partitions = new Set<string>();
    const bodies: string[] = [];
    const subscription: Subscription = client.subscribe(
      {
        processInitialize: async ({ partitionId }) => void partitions.add(partitionId),
        processClose: async (_reason, { partitionId }) => void partitions.delete(partitionId),
        processEvents: async (events, context) => {
          const last = events.at(-1);
          if (last === undefined) return;
          bodies.push(...events.map(({ body }) => String(body)));
          await context.updateCheckpoint(last);
        },
        processError: async () => undefined,
      },
      { startPosition: { enqueuedOn: hubBefore }, maxWaitTimeInSeconds: 1 },
    );
    return {
      ...{ partitions, bodies },
      close: async () => {
        await subscription.close();
        await client.close();
      },
    };
  };
  const send = async (what: string): Promise<string[]> => {
    const sent = ['0', '1', '2', '3'].map((id) => `${strategy} ${what} ${id}`);
    for (const [index, body] of sent.entries()) {
      await producer.sendBatch([{ body }], { partitionId: String(index) });
    }
    return sent;
  };

  const first = start();
  await until(() => first.partitions.size === 4);
  const alone = await send('alone');
  await until(() => alone.every((body) => first.bodies.includes(body)));

  const second = start();
  await until(() => first.partitions.size === 2 && second.partitions.size === 2);
  const shared = await send('shared');
  const both = (): string[] => [...first.bodies, ...second.bodies];
  await until(() => shared.every((body) => both().includes(body)));
  expect(second.bodies.filter((body) => body.includes('shared'))).toHaveLength(2);

  await first.close();
  await until(() => second.partitions.size === 4);
  const last = await send('last');
  await until(() => last.every((body) => second.bodies.includes(body)));
  await second.close();
  // From the checkpoints on: what the first one had read alone did not come to the second.
  expect(second.bodies.filter((body) => body.includes('alone'))).toEqual([]);
});
