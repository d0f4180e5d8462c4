/** Events of 256 B for the benches, and hubs filled with them. */
import { EventHubProducerClient } from '@azure/event-hubs';
import { seededRandom } from './machine';

export const partitionCount = 4;

/** So many events from a number on; each is the same whatever it is made with. */
export function someEvents(events: number, seed: number, first = 0): string[] {
  const random = seededRandom(seed + first);
  return Array.from({ length: events }, (_, index) => {
    const id = first + index;
    const event = {
      id,
      device: `device-${Math.floor(random() * 1000)}`,
      time: 1_767_225_600_000 + id * 5,
      value: Math.round(random() * 10_000) / 100,
      filler: '',
    };
    const missing = 256 - JSON.stringify(event).length;
    return JSON.stringify({ ...event, filler: 'x'.repeat(Math.max(0, missing)) });
  });
}

export async function fill(
  connectionString: string,
  hub: string,
  events: readonly string[],
  perMessage: number,
): Promise<void> {
  const producer = new EventHubProducerClient(connectionString, hub);
  const perSend = perMessage === 1 ? 1_000 : 20 * perMessage;
  const sends = Math.ceil(events.length / perSend);
  await Promise.all(
    Array.from({ length: partitionCount }, async (_, partition) => {
      for (let send = partition; send < sends; send += partitionCount) {
        const batch = await producer.createBatch({ partitionId: String(partition) });
        const chunk = events.slice(send * perSend, (send + 1) * perSend);
        for (let at = 0; at < chunk.length; at += perMessage) {
          const body = Buffer.from(chunk.slice(at, at + perMessage).join('\n'));
          if (!batch.tryAdd({ body })) throw new Error('a batch is over the limit');
        }
        await producer.sendBatch(batch);
      }
    }),
  );
  await producer.close();
}
