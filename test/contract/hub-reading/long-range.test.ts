// Goal: the engine's own reader takes in long ranges of several partitions side by side, again and
// again, over one client: an audit and a recovery read so. No link that closes ends the connection.
import type { EventHubReader } from '../../../shared/adapters/event-hubs';
import { connectReader } from '../../../shared/adapters/hub-clients';
import { scanHub } from '../../../shared/operations/jobs/kinds/compare-with-hub';
import { openTestNamespace, type TestNamespace } from '../../support/event-hubs-namespace';

jest.setTimeout(180_000);

const partitions = ['0', '1'];
const messagesPerPartition = 6_000;

let namespace: TestNamespace;
let reader: EventHubReader;

beforeAll(async () => {
  namespace = await openTestNamespace();
  const producer = namespace.producer();
  for (const partitionId of partitions) {
    for (let sent = 0; sent < messagesPerPartition;) {
      const batch = await producer.createBatch({ partitionId });
      for (; sent < messagesPerPartition && batch.count < 2_000; sent += 1) {
        if (!batch.tryAdd({ body: Buffer.from(String(sent)) })) break;
      }
      await producer.sendBatch(batch);
    }
  }
  const { connectionString, hub } = namespace;
  reader = connectReader({ connectionString, namespace: null }, hub, '$Default');
});

afterAll(async () => {
  await reader.close();
  await namespace.close();
});

it('scans every message once and in order, and takes the next piece when the one before was taken in', async () => {
  const found = await Promise.all(
    partitions.map(async (partitionId) => {
      const bodies: number[] = [];
      let isTaking = false;
      const range = { partitionId, firstSequenceNumber: 0, lastSequenceNumber: 5_500 };
      await scanHub(reader, range, async (messages) => {
        expect(isTaking).toBe(false);
        isTaking = true;
        await new Promise((resolve) => setImmediate(resolve));
        for (const { body } of messages) bodies.push(Number(Buffer.from(body).toString()));
        isTaking = false;
      });
      return bodies;
    }),
  );
  for (const bodies of found) {
    expect(bodies).toEqual(Array.from({ length: 5_501 }, (_, index) => index));
  }
});

it('hands on what its taker rejects with', async () => {
  const range = { partitionId: '0', firstSequenceNumber: 0, lastSequenceNumber: 100 };
  await expect(
    scanHub(reader, range, async () => {
      throw new Error('the piece was given up');
    }),
  ).rejects.toThrow('the piece was given up');
});

it('reads piece by piece on two partitions side by side, each over links of its own', async () => {
  await Promise.all(
    partitions.map(async (partitionId) => {
      for (let next = 0; next < messagesPerPartition;) {
        const messages = await reader.read({
          ...{
            partitionId,
            firstSequenceNumber: next,
            lastSequenceNumber: messagesPerPartition - 1,
          },
          messagesMax: 1_500,
        });
        expect(messages.length).toBeGreaterThan(0);
        expect(messages[0]?.sequenceNumber).toBe(next);
        next += messages.length;
      }
    }),
  );
});
