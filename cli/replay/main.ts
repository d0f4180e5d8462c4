/**
 * Replays flights into a hub through the Event Hubs SDK, in a process of its own. Which rows go to
 * which partition is fixed, so the hub itself says how far an earlier replay came.
 *
 * Prints one JSON line a second: {"sent", "total"}; the last one has "done": true.
 */
import { parseArgs } from 'node:util';
import { EventHubProducerClient } from '@azure/event-hubs';
import { readFlights, type FlightEvent } from './flights-file';

/** Rows go to partitions in chunks of this many; a chunk is sent whole or not at all. */
const chunkRows = 100;
const chunksPerSend = 10;
const rowsPerRead = 50_000;
const reportIntervalMs = 1_000;
const parentLookIntervalMs = 250;

interface Replay {
  readonly producer: EventHubProducerClient;
  readonly events: number;
  readonly isPacked: boolean;
  /** Events per second; 0: as fast as possible. */
  readonly rate: number;
  readonly partitionIds: readonly string[];
  /** Chunks that each partition holds already. */
  readonly chunksThere: readonly number[];
  sent: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      connection: { type: 'string' },
      hub: { type: 'string', default: 'flights' },
      events: { type: 'string', default: '3000000' },
      rate: { type: 'string', default: '0' },
      packed: { type: 'boolean', default: false },
      'parent-pid': { type: 'string' },
    },
  });
  if (values['parent-pid'] !== undefined) endWithParent(Number(values['parent-pid']));
  if (values.connection === undefined) throw new Error('--connection is missing');
  const producer = new EventHubProducerClient(values.connection, values.hub, {
    retryOptions: { maxRetries: 20, retryDelayInMs: 250, maxRetryDelayInMs: 2_000 },
  });
  const partitionIds = await producer.getPartitionIds();
  const messagesPerChunk = values.packed ? 1 : chunkRows;
  const chunksThere = await Promise.all(
    partitionIds.map(async (partitionId) => {
      const { lastEnqueuedSequenceNumber } = await producer.getPartitionProperties(partitionId);
      return Math.floor((lastEnqueuedSequenceNumber + 1) / messagesPerChunk);
    }),
  );
  const events = Number(values.events);
  const replay: Replay = {
    producer,
    events,
    isPacked: values.packed,
    rate: Number(values.rate),
    partitionIds,
    chunksThere,
    sent: Math.min(events, chunksThere.reduce((total, chunks) => total + chunks, 0) * chunkRows),
  };
  const reporting = setInterval(() => report(replay, false), reportIntervalMs);
  await send(replay);
  clearInterval(reporting);
  report(replay, true);
  await producer.close();
}

/** One left over would send the same rows as the replay of the next start, at the same time. */
function endWithParent(parent: number): void {
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1);
  }, parentLookIntervalMs).unref();
}

function report({ events, sent }: Replay, isDone: boolean): void {
  console.log(JSON.stringify({ sent, total: events, ...(isDone && { done: true }) }));
}

async function send(replay: Replay): Promise<void> {
  const startedAtMs = Date.now();
  const sentBefore = replay.sent;
  const chunks = Math.ceil(replay.events / chunkRows);
  const chunksPerRead = rowsPerRead / chunkRows;
  for (let firstChunk = 0; firstChunk < chunks; firstChunk += chunksPerRead) {
    const lastChunk = Math.min(chunks, firstChunk + chunksPerRead);
    const wanted = replay.partitionIds.map((_, partition) =>
      chunksOf(replay, partition, firstChunk, lastChunk),
    );
    if (wanted.every((list) => list.length === 0)) continue;
    const firstRow = firstChunk * chunkRows;
    const rows = await readFlights(firstRow, Math.min(replay.events, lastChunk * chunkRows));
    await Promise.all(
      wanted.map(async (list, partition) => {
        for (let start = 0; start < list.length; start += chunksPerSend) {
          if (replay.rate > 0) {
            const dueMs = startedAtMs + ((replay.sent - sentBefore) / replay.rate) * 1_000;
            await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - Date.now())));
          }
          const group = list.slice(start, start + chunksPerSend).map((chunk) => {
            const at = chunk * chunkRows - firstRow;
            return rows.slice(at, at + chunkRows);
          });
          await sendChunks(replay, partition, group);
        }
      }),
    );
  }
}

/** Chunk c goes to partition c mod n: those of one partition that it does not hold yet. */
function chunksOf(replay: Replay, partition: number, first: number, last: number): number[] {
  const count = replay.partitionIds.length;
  const chunks: number[] = [];
  for (let chunk = first; chunk < last; chunk += 1) {
    if (chunk % count !== partition) continue;
    if (Math.floor(chunk / count) >= (replay.chunksThere[partition] ?? 0)) chunks.push(chunk);
  }
  return chunks;
}

async function sendChunks(
  replay: Replay,
  partition: number,
  chunks: readonly (readonly FlightEvent[])[],
): Promise<void> {
  const { isPacked, partitionIds, producer } = replay;
  const options = { partitionId: partitionIds[partition] ?? '0' };
  const batch = await producer.createBatch(options);
  for (const chunk of chunks) {
    const texts = chunk.map((event) => JSON.stringify(event));
    const bodies = isPacked ? [texts.join('\n')] : texts;
    for (const body of bodies) {
      if (!batch.tryAdd({ body: Buffer.from(body) })) throw new Error('a batch is over the limit');
    }
  }
  if (batch.count > 0) await producer.sendBatch(batch);
  replay.sent += chunks.reduce((total, chunk) => total + chunk.length, 0);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
});
