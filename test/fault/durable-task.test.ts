// Goal: whatever process dies and when, every orchestration ends as if nothing had happened: nothing
// lost, no message applied twice, each answer in the history once.
// Method: real processes killed with SIGKILL: workers at any time and in the middle of an activity and
// of an episode; the whole host at every named point of an episode; two hosts on one storage.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TableClient } from '@azure/data-tables';
import type { Azurite } from '../../local/storage';
import { startAzurite } from '../support/built';
import { callsIn, DurableHost } from '../support/durable-host';
import { buildDurableHost, DurableHostProcess } from '../support/durable-host-process';

jest.setTimeout(300_000);

/** Every answer in the histories belongs to one question and came once. */
async function assertEachAnswerOnce(connectionString: string, hubName = 'TestHub'): Promise<void> {
  const table = TableClient.fromConnectionString(connectionString, `${hubName}History`, {
    allowInsecureConnection: true,
  });
  const asked = new Set<string>();
  const answered: string[] = [];
  for await (const row of table.listEntities()) {
    const of = `${row.partitionKey}/${String(row['ExecutionId'])}`;
    const { EventType, EventId, TaskScheduledId, TimerId } = row;
    if (
      ['TaskScheduled', 'SubOrchestrationInstanceCreated', 'TimerCreated'].includes(
        String(EventType),
      )
    )
      asked.add(`${of}/${String(EventId)}`);
    const answers = TaskScheduledId ?? TimerId;
    if (answers !== undefined) answered.push(`${of}/${String(answers)}`);
  }
  expect(answered.filter((one) => !asked.has(one))).toEqual([]);
  expect(answered.filter((one, index) => answered.indexOf(one) !== index)).toEqual([]);
  expect(answered).not.toEqual([]);
}

describe('workers', () => {
  let durable: DurableHost | undefined;

  afterEach(async () => {
    await durable?.close();
    durable = undefined;
  });

  it('killed in the middle of an activity: another one runs it', async () => {
    durable = await DurableHost.start();
    const file = join(durable.directory, 'died');
    expect((await durable.api.run('diesOnce', file)).output).toBe('survived');
    expect(durable.calls.map(({ call }) => call)).toEqual(['die', 'die']);
    expect(new Set(durable.calls.map(({ pid }) => pid)).size).toBe(2);
  });

  it('killed in the middle of every episode: another one runs it', async () => {
    durable = await DurableHost.start();
    const files = join(durable.directory, 'died');
    const { output } = await durable.api.run('diesInEpisode', { times: 4, files });
    expect(output).toBe(4);
    expect([0, 1, 2, 3].every((index) => existsSync(`${files}-${index}`))).toBe(true);
    // Committed activities are not run again.
    expect(durable.calls.map(({ call }) => call).sort()).toEqual([
      'work 0',
      'work 1',
      'work 2',
      'work 3',
    ]);
    await assertEachAnswerOnce(durable.azurite.connectionString);
  });

  it('killed at any time while fifty activities with retries run: all fifty end', async () => {
    durable = await DurableHost.start({ workers: 3 });
    const id = await durable.api.start('flakyFanOut', { count: 50, failures: 2 });
    for (let kill = 0; kill < 4; kill += 1) {
      await new Promise((wait) => setTimeout(wait, 150));
      const [victim] = durable.host.workers;
      if (victim !== undefined) durable.host.killWorker(victim.id);
    }
    expect((await durable.api.until(id)).output).toBe(50);
    await assertEachAnswerOnce(durable.azurite.connectionString);
  });

  it('that hang over the function timeout are ended; the activity fails, the instance goes on', async () => {
    durable = await DurableHost.start({ hostJson: { functionTimeout: '00:00:02' } });
    const { output } = await durable.api.run('hangs');
    expect(output).toBe(
      "Activity function 'hang' failed:  Timeout value of 2000 ms exceeded by function: Functions.hang",
    );
  });
});

describe('the host', () => {
  let entry: string;
  let azurite: Azurite;
  let directory: string;
  const hosts: DurableHostProcess[] = [];
  let hubs = 0;
  let hubName = '';

  beforeAll(async () => {
    entry = await buildDurableHost();
    azurite = await startAzurite();
  });
  afterAll(async () => {
    await azurite.close();
    rmSync(entry, { force: true });
  });
  beforeEach(() => {
    hubs += 1;
    hubName = `Hub${hubs}`;
    directory = mkdtempSync(join(tmpdir(), 'durable-fault-'));
  });
  afterEach(async () => {
    await Promise.all(hosts.splice(0).map((host) => host.kill()));
    rmSync(directory, { recursive: true, force: true });
  });

  async function startHost(
    killAt?: { readonly point: string; readonly count: number },
    workers = 1,
  ): Promise<DurableHostProcess> {
    const host = await DurableHostProcess.start(entry, {
      workers,
      hostJson: { extensions: { durableTask: { hubName } } },
      settings: {
        AzureWebJobsStorage: azurite.connectionString,
        DURABLE_APP_LOG: join(directory, 'calls.log'),
      },
      ...(killAt && { killAt }),
    });
    hosts.push(host);
    return host;
  }

  async function counterOf(host: DurableHostProcess, wanted: number): Promise<number> {
    let state = -1;
    for (let attempt = 0; attempt < 300 && state !== wanted; attempt += 1) {
      const response = await host.api.request('GET', 'entities/counter/mixed');
      state = response.status === 200 ? ((await response.json()) as number) : -1;
      await new Promise((wait) => setTimeout(wait, 20));
    }
    return state;
  }

  const mixed = { tasks: 8, rounds: 2 };
  /** Each round signals 1 and adds 10. */
  const addedByMixed = 22;

  it.each([
    ['before-run', 2],
    ['before-commit', 6],
    ['after-commit', 1],
    ['after-commit', 5],
    ['in-delivery', 1],
    ['in-delivery', 2],
    ['in-delivery', 6],
    ['after-delivery', 7],
    ['before-forgetting', 4],
    ['before-forgetting', 9],
  ])('killed %s, time %i: the next start goes on from there', async (point, count) => {
    const killed = await startHost({ point, count });
    await Promise.all(
      ['one', 'two', 'three'].map((id) => killed.api.start('mixed', mixed, id).catch(() => id)),
    );
    await killed.ended;
    const next = await startHost();
    for (const id of ['one', 'two', 'three']) {
      // Only a start that was never answered may have left nothing.
      const { status } = await next.api.request('GET', `instances/${id}`);
      if (status === 404) await next.api.start('mixed', mixed, id);
      expect((await next.api.until(id)).output).toBe('done');
    }
    expect(await counterOf(next, 3 * addedByMixed)).toBe(3 * addedByMixed);
    await assertEachAnswerOnce(azurite.connectionString, hubName);
  });

  it('killed between an instance’s row and its message: the next start starts it', async () => {
    const killed = await startHost({ point: 'started', count: 1 });
    await expect(killed.api.start('chain', undefined, 'half')).rejects.toThrow();
    await killed.ended;
    const next = await startHost();
    expect((await next.api.until('half')).output).toEqual(['Hello Tokyo', 'Hello Seattle']);
  });

  it('killed again and again while fifty activities with retries run: all fifty end', async () => {
    const first = await startHost(undefined, 2);
    const id = await first.api.start('flakyFanOut', { count: 50, failures: 1 });
    await new Promise((wait) => setTimeout(wait, 250));
    await first.kill();
    for (let kill = 0; kill < 2; kill += 1) {
      const host = await startHost(undefined, 2);
      await new Promise((wait) => setTimeout(wait, 250));
      await host.kill();
    }
    const last = await startHost(undefined, 2);
    expect((await last.api.until(id)).output).toBe(50);
    expect(callsIn(directory).length).toBeGreaterThanOrEqual(100);
    await assertEachAnswerOnce(azurite.connectionString, hubName);
  });

  it('shares a storage with another: both serve, and one takes over when the other dies', async () => {
    const left = await startHost();
    const right = await startHost();
    const ids = Array.from({ length: 12 }, (_unused, index) => `shared-${index}`);
    await Promise.all(
      ids.map((id, index) => (index % 2 === 0 ? left : right).api.start('mixed', mixed, id)),
    );
    await new Promise((wait) => setTimeout(wait, 300));
    await left.kill();
    for (const id of ids) expect((await right.api.until(id)).output).toBe('done');
    expect(await counterOf(right, 12 * addedByMixed)).toBe(12 * addedByMixed);
    await assertEachAnswerOnce(azurite.connectionString, hubName);
  });
});
