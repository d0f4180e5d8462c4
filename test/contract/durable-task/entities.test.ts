// Goal: entities keep their state, one operation at a time, and locks hold.
// Method: the fixture app's counter, through orchestrations, signals and the client.
import { DurableHost } from '../../support/durable-host';

jest.setTimeout(120_000);

let durable: DurableHost;

beforeAll(async () => {
  durable = await DurableHost.start();
});
afterAll(async () => {
  await durable.close();
});

async function stateOf(key: string): Promise<unknown> {
  const { result } = await durable.client('readEntityState', { entity: 'counter', key });
  return (result as { entityState?: unknown }).entityState;
}

async function untilState(key: string, wanted: unknown): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    if ((await stateOf(key)) === wanted) return;
    await new Promise((wait) => setTimeout(wait, 20));
  }
  throw new Error(`${key} is ${String(await stateOf(key))}, not ${String(wanted)}`);
}

const signal = (key: string, operation: string, input?: unknown) =>
  durable.client('signalEntity', { entity: 'counter', key }, operation, input);

describe('an entity', () => {
  it('does not exist until it has a state, nor after it is deleted', async () => {
    const missing = await durable.api.request('GET', 'entities/counter/new');
    expect(missing.status).toBe(404);
    await signal('new', 'add', 3);
    await untilState('new', 3);
    await signal('new', 'delete');
    await untilState('new', undefined);
  });

  it('applies every signal once, however many come at a time', async () => {
    await Promise.all(Array.from({ length: 60 }, (_unused, index) => signal('many', 'add', index)));
    await untilState('many', (59 * 60) / 2);
  });

  it('can be read while it is written', async () => {
    const statuses = new Set<number>();
    let isWriting = true;
    const reading = (async () => {
      while (isWriting) {
        const response = await durable.api.request('GET', 'entities/counter/busy');
        await response.text();
        statuses.add(response.status);
      }
    })();
    for (let count = 0; count < 200; count += 1) {
      await durable.api.request('POST', 'entities/counter/busy?op=add', '1');
    }
    await untilState('busy', 200);
    isWriting = false;
    await reading;
    expect([...statuses].filter((status) => ![200, 404].includes(status))).toEqual([]);
  });

  it('answers calls and tells of failures; the tasks after keep their numbers', async () => {
    const { output } = await durable.api.run('entities', 'called');
    expect(output).toEqual({ value: 12, isRefused: true, after: 'after' });
  });

  it('signals other entities', async () => {
    await signal('passing', 'add', 4);
    await signal('passing', 'pass');
    await untilState('other', 4);
  });

  it('is listed', async () => {
    await signal('listed', 'add', 1);
    await untilState('listed', 1);
    const response = await durable.api.request('GET', 'entities/');
    const entities = (await response.json()) as { entityId: { name: string; key: string } }[];
    expect(entities.map(({ entityId }) => entityId)).toContainEqual({
      name: 'counter',
      key: 'listed',
    });
    const named = await durable.api.request('GET', 'entities/Counter');
    expect(((await named.json()) as unknown[]).length).toBe(entities.length);
    const others = await durable.api.request('GET', 'entities/count');
    expect(await others.json()).toEqual([]);
  });
});

describe('locks', () => {
  it('keep others out between reading and writing', async () => {
    await signal('purse-a', 'add', 100);
    await signal('purse-b', 'add', 100);
    await untilState('purse-a', 100);
    await untilState('purse-b', 100);
    // Both ways at once: locks are taken in one order, so that nobody waits for ever.
    const ids = await Promise.all(
      Array.from({ length: 10 }, (_unused, index) =>
        durable.api.start(
          'transfer',
          index % 2 === 0
            ? { from: 'purse-a', to: 'purse-b', amount: 3 }
            : { from: 'purse-b', to: 'purse-a', amount: 1 },
        ),
      ),
    );
    const outputs = await Promise.all(ids.map(async (id) => (await durable.api.until(id)).output));
    // Nobody else came between its reading and its writing.
    expect(outputs).toEqual(ids.map((_unused, index) => (index % 2 === 0 ? 3 : 1)));
    await untilState('purse-a', 90);
    await untilState('purse-b', 110);
  });

  it('are given back when their holder fails or is terminated', async () => {
    await signal('locked', 'add', 1);
    expect((await durable.api.run('failsWithLock', 'locked')).runtimeStatus).toBe('Failed');
    const id = await durable.api.start('waitsWithLock', 'locked');
    await durable.api.until(id, ({ customStatus }) => customStatus === 'locked');
    await signal('locked', 'add', 1);
    await durable.client('terminate', id, 'while it holds the lock');
    await untilState('locked', 2);
  });
});
