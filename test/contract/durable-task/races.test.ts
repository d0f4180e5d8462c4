// Goal: what meets between two writes of one instance is neither lost nor told wrongly.
// Method: a task hub on Azurite whose functions run in this process; single writes of its store are
// held back, or fail, until the other side has done its part.
import { TableClient } from '@azure/data-tables';
import { ContainerClient } from '@azure/storage-blob';
import * as durable from 'durable-functions';
import type { OrchestrationContext, OrchestrationHandler } from 'durable-functions';
import {
  EventType,
  type HistoryEvent,
  type Message,
} from '../../../local/durable-task/history-event';
import type { Written } from '../../../local/durable-task/history-store';
import { InstanceStore, type Instance } from '../../../local/durable-task/instance-store';
import { LargePayloads } from '../../../local/durable-task/payloads';
import { TaskHubStore } from '../../../local/durable-task/store';
import { TaskHub } from '../../../local/durable-task/task-hub';
import { WorkerPool } from '../../../local/durable-task/worker-pool';
import type { Azurite } from '../../../local/storage';
import { startAzurite } from '../../support/built';

jest.setTimeout(60_000);

type Listener = (trigger: unknown, context: unknown) => Promise<unknown>;
const { createOrchestrator } = jest.requireActual<{
  createOrchestrator: (handler: OrchestrationHandler) => Listener;
}>('durable-functions/lib/src/util/testingUtils');

let isBroken = false;

const orchestrations: Record<string, OrchestrationHandler> = {
  *waiting(context: OrchestrationContext) {
    return (yield context.df.waitForExternalEvent('go')) as unknown;
  },
  *quick(context: OrchestrationContext) {
    return context.df.getInput();
  },
  *twice(context: OrchestrationContext) {
    const id = `${context.df.instanceId}-child`;
    const first = (yield context.df.callSubOrchestrator('quick', 'first', id)) as unknown;
    const second = (yield context.df.callSubOrchestrator('quick', 'second', id)) as unknown;
    return [first, second];
  },
  *parent(context: OrchestrationContext) {
    return (yield context.df.callSubOrchestrator(
      'renewing',
      3,
      `${context.df.instanceId}-child`,
    )) as unknown;
  },
  *hopeful(context: OrchestrationContext) {
    return (yield context.df.callSubOrchestrator('breaking', 1)) as unknown;
  },
  // Not deterministic: it is mended between a failure and a rewind.
  *breaking(context: OrchestrationContext) {
    const left = context.df.getInput<number>();
    if (left > 0) context.df.continueAsNew(left - 1);
    else if (isBroken) throw new Error('broken');
    return 'mended';
  },
  *renewing(context: OrchestrationContext) {
    const left = context.df.getInput<number>();
    if (left > 0) context.df.continueAsNew(left - 1);
    else return (yield context.df.waitForExternalEvent('go')) as unknown;
    return undefined;
  },
};

/** A task hub whose functions run here; each run takes a while, so that others can look in between. */
class Hub {
  readonly store: TaskHubStore;
  readonly lines: string[] = [];
  readonly #hub: TaskHub;

  constructor(connectionString: string, hubName: string, runMs = 0) {
    this.store = new TaskHubStore(connectionString, hubName);
    const pool = new WorkerPool({
      limits: { activity: 9, orchestrator: 9, entity: 9 },
      functionTimeoutMs: 60_000,
    });
    pool.add(1, ({ data, functionName, id }) => {
      const listener = createOrchestrator(orchestrations[functionName] as OrchestrationHandler);
      const trigger: unknown = JSON.parse(data ?? 'null');
      setTimeout(() => {
        listener(trigger, new durable.DummyOrchestrationContext()).then(
          (state) =>
            pool.ran(1, { kind: 'durable-ran', id, isOk: true, value: JSON.stringify(state) }),
          (error: Error) =>
            pool.ran(1, { kind: 'durable-ran', id, isOk: false, message: error.message }),
        );
      }, runMs);
    });
    this.#hub = new TaskHub({
      store: this.store,
      pool,
      functions: () => ({
        orchestrators: Object.keys(orchestrations),
        activities: [],
        entities: [],
      }),
      times: { leaseMs: 3_000, pollIntervalMs: 100 },
      log: (level, message) => this.lines.push(`${level}: ${message}`),
    });
  }

  get client(): TaskHub['client'] {
    return this.#hub.client;
  }

  start(): Promise<void> {
    return this.#hub.start();
  }

  stop(): Promise<void> {
    return this.#hub.stop();
  }

  startNew(name: string, instanceId: string, input: unknown = null): Promise<string> {
    return this.client.start({
      name,
      instanceId,
      input: JSON.stringify(input),
      version: null,
    });
  }

  /** The output of an instance that is over: as its row says. */
  async output(instanceId: string): Promise<unknown> {
    await until(async () =>
      ['Completed', 'Failed'].includes((await this.client.get(instanceId))?.runtimeStatus ?? ''),
    );
    const { output, runtimeStatus } = (await this.client.get(instanceId)) ?? {};
    return runtimeStatus === 'Completed' ? (JSON.parse(output ?? 'null') as unknown) : output;
  }
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt += 1) {
    if (await isTrue()) return;
    await pause(10);
  }
  throw new Error('it does not come to this');
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

let azurite: Azurite;
let hubs = 0;
const running: Hub[] = [];

beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(async () => {
  await azurite.close();
});
beforeEach(() => {
  hubs += 1;
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((hub) => hub.stop()));
});

async function startHub(runMs?: number): Promise<Hub> {
  const hub = new Hub(azurite.connectionString, `Races${hubs}`, runMs);
  running.push(hub);
  await hub.start();
  return hub;
}

it('an event that is raised between an instance’s row and its start is not lost', async () => {
  const hub = await startHub();
  const { inbox } = hub.store;
  const put = inbox.put.bind(inbox);
  inbox.put = async (message) => {
    if (message.event.EventType === EventType.ExecutionStarted) await pause(400);
    return put(message);
  };
  const starting = hub.startNew('waiting', 'early');
  await until(async () => (await hub.client.get('early')) !== null);
  await hub.client.raise('early', 'go', '"came first"');
  await starting;
  expect(await hub.output('early')).toBe('came first');
});

it('an id that is started again is never shown as over before it is', async () => {
  const first = await startHub();
  await first.startNew('quick', 'again', 'old');
  expect(await first.output('again')).toBe('old');
  await first.stop();
  const second = await startHub(150);
  await second.startNew('quick', 'again', 'new');
  expect(await second.output('again')).toBe('new');
});

it('a sub-orchestration’s id is free for the next as soon as the parent has the answer', async () => {
  const hub = await startHub();
  const { instances } = hub.store;
  const put = instances.put.bind(instances);
  instances.put = async (instance, before) => {
    if (instance.name === 'quick' && instance.runtimeStatus === 'Completed') await pause(400);
    return put(instance, before);
  };
  await hub.startNew('twice', 'two');
  expect(await hub.output('two')).toEqual(['first', 'second']);
});

it('a start that is delivered again to a child which went on as new is no second one', async () => {
  const hub = await startHub();
  const { history } = hub.store;
  const markDelivered = history.markDelivered.bind(history);
  let isLost = false;
  history.markDelivered = async (written) => {
    if (written.instanceId === 'renewed' && !isLost) {
      isLost = true;
      const first = (await hub.client.get('renewed-child'))?.executionId;
      await until(async () => (await hub.client.get('renewed-child'))?.executionId !== first);
      throw new Error('the connection is lost');
    }
    return markDelivered(written);
  };
  await hub.startNew('parent', 'renewed');
  await until(async () => isLost && hub.lines.some((line) => line.includes('connection is lost')));
  await pause(500);
  await hub.client.raise('renewed-child', 'go', '"well"');
  expect(await hub.output('renewed')).toBe('well');
});

it('what a commit replaces leaves no blobs, those of its delivered messages neither', async () => {
  const store = new TaskHubStore(azurite.connectionString, `Races${hubs}`);
  await store.initialize();
  const applied = Object.fromEntries(
    Array.from({ length: 1_000 }, (_unused, index) => [`client:${index}-${'x'.repeat(30)}`, index]),
  );
  const event: HistoryEvent = {
    ...{ EventType: EventType.GenericEvent, EventId: -1, IsPlayed: false },
    ...{ Timestamp: new Date().toISOString(), Data: 'x' },
  };
  const commit = {
    ...{ isReplacing: true, executionId: 'one', events: [event], history: [event] },
    ...{ applied, customStatus: null },
    outgoing: [{ id: 'a', instanceId: 'b', executionId: null, event }],
  };
  let written: Written | null = null;
  for (let count = 0; count < 5; count += 1) {
    written = await store.history.commit('replaced', written, commit);
    written = await store.history.markDelivered(written);
  }
  const name = `races${hubs}-largemessages`;
  const blobs: string[] = [];
  for await (const blob of new ContainerClient(azurite.connectionString, name).listBlobsFlat()) {
    blobs.push(blob.name);
  }
  // The last commit's, and that of its delivery.
  expect(blobs.length).toBe(2);
});

it('a rewind reaches a child that went on as new before it failed', async () => {
  const hub = await startHub();
  isBroken = true;
  await hub.startNew('hopeful', 'rewound');
  expect(await hub.output('rewound')).toContain('broken');
  isBroken = false;
  await hub.client.rewind('rewound', 'mended');
  await until(async () => (await hub.client.get('rewound'))?.runtimeStatus === 'Completed');
  expect(await hub.output('rewound')).toBe('mended');
});

it('a message whose text is gone holds no other message up', async () => {
  const store = new TaskHubStore(azurite.connectionString, `Races${hubs}`);
  await store.initialize();
  const raised = (name: string, input: string): Message => ({
    ...{ id: name, instanceId: name, executionId: null },
    event: {
      ...{ EventType: EventType.EventRaised, EventId: -1, IsPlayed: false },
      ...{ Timestamp: new Date().toISOString(), Name: name, Input: input },
    },
  });
  const { blobs } = await store.inbox.put(raised('gone', JSON.stringify('x'.repeat(50_000))));
  await store.inbox.put(raised('there', '1'));
  const container = new ContainerClient(azurite.connectionString, `races${hubs}-largemessages`);
  for (const blob of blobs) await container.deleteBlob(blob);
  const seen: string[] = [];
  for await (const { message } of store.inbox.all(() => true)) seen.push(message.instanceId);
  expect(seen).toEqual(['there']);
});

it('a row whose writing was answered too late keeps its long texts', async () => {
  const hubName = `Races${hubs}`;
  await new TaskHubStore(azurite.connectionString, hubName).initialize();
  const table = TableClient.fromConnectionString(azurite.connectionString, `${hubName}Instances`, {
    allowInsecureConnection: true,
  });
  const update = table.updateEntity.bind(table);
  // The first answer is lost: the client sends the same again, and is told that the row has changed.
  table.updateEntity = async (...request) => {
    await update(...request);
    return update(...request);
  };
  const payloads = new LargePayloads(azurite.connectionString, hubName);
  const instances = new InstanceStore(table, payloads, hubName);
  const instance: Instance = {
    ...{ instanceId: 'late', executionId: 'one', name: 'quick', version: null },
    ...{ parentInstanceId: null, input: null, output: null, customStatus: null },
    ...{ runtimeStatus: 'Running', completedTime: null },
    ...{ createdTime: new Date(), lastUpdatedTime: new Date() },
  };
  const first = await instances.put(instance, null);
  const changed = { ...instance, output: JSON.stringify('y'.repeat(50_000)) };
  expect(await instances.put(changed, first)).toBe(null);
  expect((await instances.get('late'))?.output).toBe(changed.output);
});
