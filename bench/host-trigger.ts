/**
 * CPU of the Event Hubs trigger per event, with a function that does nothing: what the host makes of a
 * batch, what the unmodified functions library makes of that, and the whole invocation. The wire form
 * (JSON texts, as a host in another process must send them) stands beside ours.
 *
 *   npm run bench:host-trigger -- [events per batch] [batches] [body bytes]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ReceivedEventData } from '@azure/event-hubs';
import {
  loadApp,
  type LoadedApp,
  type RegisteredFunction,
} from '../local/functions-host/app-loader';
import { eventHubRequest, type HubInput } from '../local/functions-host/event-hub-request';
import {
  invoke,
  triggerOf,
  type HostWorld,
  type InvocationRequest,
} from '../local/functions-host/invoke';
import { jsonData, type TypedData } from '../local/functions-host/typed-data';
import { machineLine, median } from './machine';

const [eventsPerBatch = 1000, batches = 300, bodyBytes = 256] = process.argv.slice(2).map(Number);
const rounds = 5;
const partition = { partitionId: '0', isCheckpointing: true };

function batchOf(properties: Record<string, unknown> | undefined): ReceivedEventData[] {
  const startMs = Date.UTC(2026, 0, 1);
  return Array.from({ length: eventsPerBatch }, (_, index) => ({
    body: Buffer.from(JSON.stringify({ index }).padEnd(bodyBytes, ' ')),
    sequenceNumber: index,
    offset: String(index * bodyBytes),
    // A hub takes events in by batches: neighbours share their time.
    enqueuedTimeUtc: new Date(startMs + Math.floor(index / 50)),
    partitionKey: null,
    systemProperties: {},
    ...(properties && { properties }),
    getRawAmqpMessage: () => ({ body: null }),
  }));
}

/** As it was before, and as the wire has it: a JSON text for each name. */
function wireRequest(batch: readonly ReceivedEventData[], input: HubInput): InvocationRequest {
  const metadata: Record<string, unknown> = {
    SequenceNumberArray: batch.map(({ sequenceNumber }) => sequenceNumber),
    OffsetArray: batch.map(({ offset }) => String(offset)),
    EnqueuedTimeUtcArray: batch.map(({ enqueuedTimeUtc }) =>
      enqueuedTimeUtc.toISOString().slice(0, -1),
    ),
    PartitionKeyArray: [],
    PropertiesArray: batch.map(({ properties }) => properties ?? {}),
    SystemPropertiesArray: batch.map((event) => ({
      ...event.systemProperties,
      SequenceNumber: event.sequenceNumber,
      Offset: String(event.offset),
      PartitionKey: event.partitionKey,
      EnqueuedTimeUtc: event.enqueuedTimeUtc.toISOString(),
    })),
    PartitionContext: input.source,
  };
  const triggerMetadata: Record<string, TypedData> = {};
  for (const [name, value] of Object.entries(metadata)) triggerMetadata[name] = jsonData(value);
  const bytes = batch.map(({ body }) => body as Buffer);
  return {
    inputData: [{ name: input.name, data: { collectionBytes: { bytes } } }],
    triggerMetadata,
  };
}

const silent: HostWorld = {
  log: () => undefined,
  began: () => undefined,
  ended: () => undefined,
  writeOutputs: async () => undefined,
};

async function cpuPerEvent(work: () => unknown): Promise<number> {
  const figures: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const before = process.cpuUsage();
    for (let batch = 0; batch < batches; batch += 1) await work();
    const used = process.cpuUsage(before);
    // The first round warms up.
    if (round > 0) figures.push((used.user + used.system) / (batches * eventsPerBatch));
  }
  return median(figures);
}

async function loadNothing(): Promise<{ app: LoadedApp; target: RegisteredFunction }> {
  const appDirectory = resolve('dist/bench-app');
  mkdirSync(appDirectory, { recursive: true });
  writeFileSync(join(appDirectory, 'package.json'), JSON.stringify({ main: 'app.js' }));
  writeFileSync(
    join(appDirectory, 'app.js'),
    `const { app } = require('@azure/functions');
app.eventHub('nothing', { connection: 'Hub', eventHubName: 'hub', cardinality: 'many', dataType: 'binary', handler: () => undefined });`,
  );
  const app = await loadApp({ appDirectory, log: () => undefined });
  const [target] = app.functions;
  if (target === undefined) throw new Error('the app registered nothing');
  return { app, target };
}

async function main(): Promise<void> {
  console.log(machineLine(0));
  console.log(
    `${eventsPerBatch} events of ${bodyBytes} B in a batch, ${batches} batches, CPU µs/event`,
  );
  const { app, target } = await loadNothing();
  const input: HubInput = {
    name: triggerOf(target)?.name ?? '',
    isMany: true,
    dataType: 'binary',
    isRetried: false,
    sequenceNumberForm: 'number',
    source: { FullyQualifiedNamespace: 'localhost', EventHubName: 'hub', ConsumerGroup: 'group' },
  };
  const kinds: [string, Record<string, unknown> | undefined][] = [
    ['no properties', undefined],
    ['two properties', { region: 'north', attempt: 1 }],
  ];
  for (const [kind, properties] of kinds) {
    const batch = batchOf(properties);
    const forms: [string, () => InvocationRequest][] = [
      ['wire form', () => wireRequest(batch, input)],
      ['ours', () => eventHubRequest(batch, input, partition)],
    ];
    for (const [form, request] of forms) {
      const made = await cpuPerEvent(request);
      const whole = await cpuPerEvent(() => invoke(app, target, request, silent, '(null)'));
      console.log(
        `${kind.padEnd(16)}${form.padEnd(12)} host ${made.toFixed(2)}  library ${(whole - made).toFixed(2)}  whole invocation ${whole.toFixed(2)}`,
      );
    }
  }
}

void main();
