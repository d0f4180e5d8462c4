/**
 * The engine alone on one core: bytes in, commits encoded and appended to a store in memory, files
 * off. Beside it, in the same run, a bare loop of JSON.parse and a Map: what no engine can beat.
 *
 * npm run bench:engine -- [events]
 */
import { Type } from 'typebox';
import { MemoryAppendStore, MemoryObjectStore } from '../shared/adapters/memory-stores';
import type { HubMessage, HubReader, HubSender } from '../shared/model/ports';
import type { Topology } from '../shared/dataflow';
import {
  average,
  count,
  max,
  minutes,
  seconds,
  Timestamp,
  topology,
  tumbling,
} from '../shared/dataflow';
import { plan } from '../shared/planner';
import { compileStage } from '../shared/execution';
import { noStateLimits, StateBudget } from '../shared/state/state-budget';
import { Runtime } from '../shared/task/runtime';
import { defaultStageLimits } from '../shared/task/services';
import { machineLine, median, seededRandom } from './machine';

const seed = 7;
const batchSize = 1_000;
const rounds = 5;

const tradeSchema = Type.Object({
  id: Type.Integer(),
  symbol: Type.String(),
  time: Timestamp(),
  price: Type.Number(),
  quantity: Type.Integer(),
  venue: Type.String(),
  note: Type.String(),
});

const source = {
  schema: tradeSchema,
  eventTime: (e: { time: number }) => e.time,
  outOfOrderness: seconds(5),
};
const flush = { rowsMax: Infinity, bytesMax: Infinity, ageMaxMs: Infinity };

const filterAndMap = topology('filter-and-map', (t) => {
  t.source('trades', source)
    .filter((trade) => trade.quantity > 100)
    .map((trade) => ({
      id: trade.id,
      symbol: trade.symbol,
      time: trade.time,
      value: trade.price * trade.quantity,
    }))
    .toLake('values', {
      schema: Type.Object({
        id: Type.Integer(),
        symbol: Type.String(),
        time: Timestamp(),
        value: Type.Number(),
      }),
      flush,
    });
});

const keyedTumbling = topology('keyed-tumbling', (t) => {
  t.source('trades', source)
    .keyBy((trade) => trade.symbol, { name: 'symbol', isPartitionedBySource: true })
    .window(tumbling(minutes(1)), { name: 'windows' })
    .aggregate({
      trades: count(),
      highest: max((trade) => trade.price),
      mean: average((trade) => trade.price),
    })
    .map((bar) => ({
      symbol: bar.key,
      minute: bar.windowStart,
      trades: bar.trades,
      mean: bar.mean ?? 0,
    }))
    .toLake('bars', {
      schema: Type.Object({
        symbol: Type.String(),
        minute: Timestamp(),
        trades: Type.Integer(),
        mean: Type.Number(),
      }),
      flush,
    });
});

function someTrades(events: number): HubMessage[] {
  const random = seededRandom(seed);
  return Array.from({ length: events }, (_, index) => {
    const trade = {
      id: index,
      symbol: `SYM${Math.floor(random() * 100)}`,
      time: 1_767_225_600_000 + index * 2 - Math.floor(random() * 2_000),
      price: Math.round(random() * 100_000) / 100,
      quantity: Math.floor(random() * 1_000),
      venue: `venue-${Math.floor(random() * 8)}`,
      note: 'x'.repeat(60 + Math.floor(random() * 40)),
    };
    return {
      sequenceNumber: index,
      // As a hub's: they never go back.
      enqueuedTimeMs: 1_767_225_600_000 + index * 2,
      body: Buffer.from(JSON.stringify(trade)),
    };
  });
}

/** Holds what was sent: a hub that has less than its log has read would be another hub. */
function hubOf(messages: readonly HubMessage[]): HubReader {
  return {
    describe: async () => ({ createdAtMs: 1, partitionIds: ['0'] }),
    bounds: async () => ({
      firstSequenceNumber: 0,
      lastSequenceNumber: messages.length - 1,
      isEmpty: false,
    }),
    read: async ({ firstSequenceNumber, lastSequenceNumber, messagesMax }) =>
      messages.slice(
        firstSequenceNumber,
        Math.min(lastSequenceNumber + 1, firstSequenceNumber + messagesMax),
      ),
  };
}
const noSender: HubSender = { partitionCount: async () => 1, send: async () => undefined };

/** Drops what is appended once it is older than the task needs: a store that takes no memory. */
class ForgettingStore extends MemoryAppendStore {
  bytes = 0;
  blocks = 0;
  override async append(
    request: Parameters<MemoryAppendStore['append']>[0],
  ): ReturnType<MemoryAppendStore['append']> {
    this.bytes += request.block.byteLength;
    this.blocks += 1;
    return this.blocks > 2 ? 'appended' : super.append(request);
  }
}

async function runEngine(
  subject: Topology,
  messages: readonly HubMessage[],
): Promise<{ rate: number; bytes: number; blocks: number }> {
  const appends = new ForgettingStore();
  const stages = plan([subject]).stages;
  const runtime = new Runtime({
    hubCheckIntervalMs: 1e9,
    isDraining: async () => false,
    stages: stages.map((stagePlan) => ({
      stage: compileStage(stagePlan, [subject]),
      services: {
        appends,
        objects: new MemoryObjectStore(),
        stateBudget: new StateBudget(noStateLimits),
        hub: hubOf(messages),
        checkpoints: null,
        sender: noSender,
        lakeTable: () => ({
          flush: async ({ batches }) => ({
            flushedThrough: batches.at(-1)?.commit ?? 0,
            rowsWritten: 0,
            files: 0,
            bytes: 0,
          }),
          flushedThrough: async () => 0,
          create: async () => undefined,
          flushedByTask: async () => new Map(),
        }),
        clock: { nowMs: () => Date.now() },
        sleep: async () => undefined,
        randomness: { uniqueId: () => String(Math.random()) },
        telemetry: { emit: () => undefined },
        faultPoint: () => undefined,
        writer: 'bench',
        limits: defaultStageLimits,
      },
    })),
  });
  const functionName = stages[0]?.functionName ?? '';
  const startedAt = process.cpuUsage();
  for (let start = 0; start < messages.length; start += batchSize) {
    await runtime.processBatch({
      functionName,
      partition: '0',
      messages: messages.slice(start, start + batchSize),
      deadlineMs: Infinity,
    });
  }
  const used = process.cpuUsage(startedAt);
  return {
    rate: messages.length / ((used.user + used.system) / 1e6),
    bytes: appends.bytes,
    blocks: appends.blocks,
  };
}

function runBare(messages: readonly HubMessage[]): number {
  const totals = new Map<string, number>();
  const startedAt = process.cpuUsage();
  for (const { body } of messages) {
    const trade = JSON.parse(
      Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'),
    ) as { symbol: string; price: number };
    totals.set(trade.symbol, (totals.get(trade.symbol) ?? 0) + trade.price);
  }
  const used = process.cpuUsage(startedAt);
  return messages.length / ((used.user + used.system) / 1e6);
}

async function main(): Promise<void> {
  const events = Number(process.argv[2] ?? 300_000);
  const messages = someTrades(events);
  const meanBytes = Math.round(
    messages.reduce((total, { body }) => total + body.byteLength, 0) / events,
  );
  console.log(machineLine(seed));
  console.log(
    `${events} events of ${meanBytes} B on average, batches of ${batchSize}, median of ${rounds} rounds, events per second of CPU time`,
  );
  const rates = { bare: [] as number[], filter: [] as number[], keyed: [] as number[] };
  let sizes = { filter: 0, keyed: 0, blocks: 0 };
  for (let round = 0; round < rounds + 1; round += 1) {
    const bare = runBare(messages);
    const filter = await runEngine(filterAndMap, messages);
    const keyed = await runEngine(keyedTumbling, messages);
    sizes = { filter: filter.bytes, keyed: keyed.bytes, blocks: filter.blocks };
    if (round === 0) continue;
    rates.bare.push(bare);
    rates.filter.push(filter.rate);
    rates.keyed.push(keyed.rate);
  }
  const bare = median(rates.bare);
  const line = (name: string, rate: number): void =>
    console.log(
      `${name.padEnd(44)} ${Math.round(rate / 1000)} k/s   ${(bare / rate).toFixed(2)} × the bare loop's time`,
    );
  line('bare loop (JSON.parse, Map)', bare);
  line('filter + map, rows encoded and committed', median(rates.filter));
  line('keyed tumbling aggregate, state committed', median(rates.keyed));
  console.log(
    `commits: ${((sizes.blocks / events) * 1000).toFixed(3)} appends per 1,000 events; ${Math.round(sizes.filter / events)} B (filter + map) and ${Math.round(sizes.keyed / events)} B (aggregate) per event`,
  );
}

void main();
