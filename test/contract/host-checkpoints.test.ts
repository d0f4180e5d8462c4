// Goal: checkpoints are found where hosts and SDKs write them, and deleted only as they were read.
import { BlobCheckpointStore } from '@azure/eventhubs-checkpointstore-blob';
import { ContainerClient } from '@azure/storage-blob';
import { BlobHostCheckpoints } from '../../shared/adapters/blob-host-checkpoints';
import { connectContainer } from '../../shared/adapters/blob-container';
import { namespaceHost } from '../../shared/adapters/hub-clients';
import { startAzurite, type Azurite } from '../support/azurite';

const place = {
  namespace: 'Ns.servicebus.windows.net',
  hub: 'Orders',
  consumerGroup: 'Orders-Stage',
};
const written = {
  fullyQualifiedNamespace: place.namespace.toLowerCase(),
  eventHubName: place.hub.toLowerCase(),
  consumerGroup: place.consumerGroup.toLowerCase(),
  partitionId: '3',
};

let azurite: Azurite;
let containers = 0;

beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

function world(): { container: ContainerClient; checkpoints: BlobHostCheckpoints } {
  const { connectionString } = azurite;
  const name = `checkpoints-${(containers += 1)}`;
  const checkpoints = new BlobHostCheckpoints(
    connectContainer({ connectionString, container: name }),
    place,
  );
  return { container: new ContainerClient(connectionString, name), checkpoints };
}

it('finds none without a container, without a blob, and in a blob without a sequence number', async () => {
  const { checkpoints, container } = world();
  expect(await checkpoints.read('3')).toBeUndefined();
  await container.createIfNotExists();
  expect(await checkpoints.read('3')).toBeUndefined();
  const name = 'ns.servicebus.windows.net/orders/orders-stage/checkpoint/3';
  await container.getBlockBlobClient(name).upload('', 0, { metadata: { offset: '7' } });
  expect(await checkpoints.read('3')).toBeUndefined();
});

it('reads what the SDK wrote, deletes that, and nothing that was written since', async () => {
  const { checkpoints, container } = world();
  await container.createIfNotExists();
  const store = new BlobCheckpointStore(container);
  await store.updateCheckpoint({ ...written, offset: '4711', sequenceNumber: 17 });
  const first = await checkpoints.read('3');
  expect(first?.sequenceNumber).toBe(17);
  await store.updateCheckpoint({ ...written, offset: '4800', sequenceNumber: 18 });
  const second = await checkpoints.read('3');
  expect(await checkpoints.forget('3', first ?? { sequenceNumber: 0, tag: '' })).toBe('changed');
  expect((await checkpoints.read('3'))?.sequenceNumber).toBe(18);
  expect(await checkpoints.forget('3', second ?? { sequenceNumber: 0, tag: '' })).toBe('forgotten');
  expect(await checkpoints.read('3')).toBeUndefined();
});

it.each([
  ['Endpoint=sb://127.0.0.1:5673;SharedAccessKeyName=a;SharedAccessKey=b', null, '127.0.0.1'],
  [
    'EntityPath=x;Endpoint=sb://n.servicebus.windows.net/;SharedAccessKey=b',
    null,
    'n.servicebus.windows.net',
  ],
  ['Endpoint=sb://[::1]:5672/', null, '[::1]'],
  ['nothing', null, null],
  [null, 'n.servicebus.windows.net', 'n.servicebus.windows.net'],
  [null, null, null],
])('names the namespace of %s, %s: %s', (connectionString, namespace, expected) => {
  expect(namespaceHost({ connectionString, namespace })).toBe(expected);
});
