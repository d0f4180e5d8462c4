// Goal: a message that kills whoever decodes it costs a bounded number of deaths and one dead letter
// that holds all of it; nobody decodes before the log says that they try, and nobody decodes it then.
// And: letters of a commit that was refused are made again, once.
import { listLogs, readLog } from '../../../shared/commit-log/log-reader';
import { MemoryAppendStore } from '../../../shared/adapters/memory-stores';
import { decodeRecords, encodeRecord } from '../../../shared/commit-log/record';
import type { CommitRecord, LogRecord } from '../../../shared/model/commit';
import type { AppendStore, HubMessage } from '../../../shared/model/ports';
import { topologies } from '../../fixtures/topologies/orders';
import { someOrders } from '../../support/orders';
import { StageWorld, WorkerDied } from '../../support/stage-world';

const deathsMax = 40;

async function recordsOf(world: StageWorld): Promise<LogRecord[]> {
  const paths = (await listLogs(world.appends, 'orders')).filter(({ stage }) => stage === 'orders');
  const logs = await Promise.all(paths.map((path) => readLog(world.appends, path, null)));
  return logs.flatMap(({ records }) => records);
}

const commits = (records: readonly LogRecord[]): CommitRecord[] =>
  records.filter((record) => record.kind === 'commit');

/** What somebody else wrote who took the task over. */
function rivalAttempt(): Uint8Array {
  return encodeRecord({
    kind: 'attempt',
    writer: 'rival',
    startedAtMs: 0,
    from: { sequenceNumber: 0, index: 0 },
    attempt: 1,
    scope: 'messages',
    count: 4,
    suspectMessages: 4,
    suspectEvents: 0,
  });
}

/** Delivers until a worker survives; each that dies leaves nothing but the log. */
async function deliverUntilAlive(
  world: StageWorld,
  messages: readonly HubMessage[],
): Promise<number> {
  for (let deaths = 0; deaths < deathsMax; deaths += 1) {
    try {
      await world.worker().processBatch({
        functionName: 'orders-orders',
        partition: '0',
        messages,
        deadlineMs: Infinity,
      });
      return deaths;
    } catch (error) {
      if (!(error instanceof WorkerDied)) throw error;
    }
  }
  throw new Error('it kills for ever');
}

it('a message that kills whoever decodes it is one dead letter, unread, and the others are processed', async () => {
  const world = new StageWorld({ topologies, partitionCount: 1 });
  const orders = someOrders(20);
  const bodies = Array.from({ length: 10 }, (_, at) =>
    Buffer.from(JSON.stringify(orders.slice(2 * at, 2 * at + 2))),
  );
  const killing = 6;
  const body = bodies[killing] ?? Buffer.alloc(0);
  world.hub('orders').append(0, ...bodies);
  const messages = world
    .hub('orders')
    .messages(0)
    .map(({ body: own, ...message }, at) => ({
      ...message,
      // Whoever takes its bytes dies, but for whoever has said that it puts them aside.
      get body() {
        const isPutAside = world.events.some(({ event }) => event === 'task.quarantine');
        if (at === killing && !isPutAside) throw new WorkerDied('decoding');
        return own;
      },
    }));
  const deaths = await deliverUntilAlive(world, messages);
  expect(deaths).toBeLessThanOrEqual(3 + Math.ceil(Math.log2(10)) + 3);
  const records = await recordsOf(world);
  // Every death was announced in the log before it came.
  expect(records.filter(({ kind }) => kind === 'attempt').length).toBeGreaterThanOrEqual(deaths);
  const letters = commits(records).flatMap(({ deadLetters }) => deadLetters);
  expect(letters).toMatchObject([
    { code: 'STREAM_MESSAGE_KILLED_WORKER', sequenceNumber: killing, index: 0 },
  ]);
  expect(Buffer.from(letters[0]?.payloadBase64 ?? '', 'base64').equals(body)).toBe(true);
  const [ledger] = await world.worker().ledgers('orders-orders');
  expect(ledger).toMatchObject({ read: 19, deadLettered: 1 });
});

it('letters whose commit is refused are in the one that follows, each once', async () => {
  const inner = new MemoryAppendStore();
  let refusals = 0;
  const appends: AppendStore = {
    create: (name) => inner.create(name),
    readFrom: (name, from) => inner.readFrom(name, from),
    stat: (name) => inner.stat(name),
    list: (prefix) => inner.list(prefix),
    delete: (name) => inner.delete(name),
    append: async (request) => {
      const [first] = decodeRecords(request.block, { blob: request.name, position: 0 });
      // Somebody else's attempt is there first: the commit's place is taken.
      if (first?.record.kind === 'commit' && refusals < 2) {
        refusals += 1;
        await inner.append({ ...request, block: rivalAttempt() });
        return 'conflict';
      }
      return inner.append(request);
    },
  };
  const world = new StageWorld({ topologies, partitionCount: 1, appends });
  const [order] = someOrders(1);
  world
    .hub('orders')
    .append(
      0,
      Buffer.from('no json'),
      Buffer.from(JSON.stringify(order)),
      Buffer.from('{"id":"no"}\n{"id":\n7'),
      Buffer.alloc(0),
    );
  await world.deliver(world.worker(), { stage: 'orders', partition: 0 });
  expect(refusals).toBe(2);
  const letters = commits(await recordsOf(world)).flatMap(({ deadLetters }) => deadLetters);
  expect(letters.map(({ code, index, sequenceNumber }) => [sequenceNumber, index, code])).toEqual([
    [0, 0, 'STREAM_EVENT_UNDECODABLE'],
    [2, 0, 'STREAM_EVENT_INVALID'],
    [2, 1, 'STREAM_EVENT_UNDECODABLE'],
    [3, 0, 'STREAM_EVENT_UNDECODABLE'],
  ]);
  const [ledger] = await world.worker().ledgers('orders-orders');
  expect(ledger).toMatchObject({ read: 5, deadLettered: 4 });
});
