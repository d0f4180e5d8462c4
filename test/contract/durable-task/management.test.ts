// Goal: instances are managed as on Azure: through the HTTP API and through the package's client.
// Method: the fixture app on the real host; every operation, and what refuses it.
import { TableClient } from '@azure/data-tables';
import { ContainerClient } from '@azure/storage-blob';
import { DurableHost, type DurableStatus } from '../../support/durable-host';

jest.setTimeout(120_000);

let durable: DurableHost;

beforeAll(async () => {
  durable = await DurableHost.start();
});
afterAll(async () => {
  await durable.close();
});

const isRunning = ({ runtimeStatus }: DurableStatus): boolean => runtimeStatus === 'Running';

async function rowsOf(table: string, instanceId: string): Promise<Record<string, unknown>[]> {
  const client = TableClient.fromConnectionString(durable.azurite.connectionString, table, {
    allowInsecureConnection: true,
  });
  const rows: Record<string, unknown>[] = [];
  for await (const row of client.listEntities({
    queryOptions: { filter: `PartitionKey eq '${instanceId}'` },
  })) {
    rows.push(row);
  }
  return rows;
}

describe('starting', () => {
  it('answers 202 with URLs that work', async () => {
    const response = await durable.api.request('POST', 'orchestrators/chain/urls', '');
    expect(response.status).toBe(202);
    expect(response.headers.get('retry-after')).toBe('10');
    const urls = (await response.json()) as Record<string, string>;
    expect(urls['id']).toBe('urls');
    expect(response.headers.get('location')).toBe(urls['statusQueryGetUri']);
    await durable.api.until('urls');
    const status = await fetch(urls['statusQueryGetUri'] ?? '');
    expect(status.status).toBe(200);
    expect(await status.json()).toMatchObject({ name: 'chain', input: null, customStatus: null });
  });

  it.each(['ünï-日本', '100%', 'a b', "o'brien", 'a&b=c+d', '😀'])(
    'an id of any letters (%s) answers with URLs that work',
    async (id) => {
      const path = `orchestrators/child/${encodeURIComponent(id)}`;
      const response = await durable.api.request('POST', path, '"you"');
      expect(response.status).toBe(202);
      const { statusQueryGetUri = '' } = (await response.json()) as Record<string, string>;
      await durable.api.until(encodeURIComponent(id));
      const status = (await (await fetch(statusQueryGetUri)).json()) as DurableStatus;
      expect(status).toMatchObject({ instanceId: id, output: 'Hello you' });
    },
  );

  it('through a function with the durable client gives the same', async () => {
    const response = await fetch(`${durable.host.httpUrl}/api/start/child`, {
      method: 'POST',
      body: JSON.stringify({ instanceId: 'by-client', input: 'Rome' }),
      headers: { 'content-type': 'application/json' },
    });
    expect(response.status).toBe(202);
    expect((await durable.api.until('by-client')).output).toBe('Hello Rome');
  });

  it('refuses what does not exist and what is no id, with 400', async () => {
    const unknown = await durable.api.request('POST', 'orchestrators/nobody', '');
    expect(unknown.status).toBe(400);
    expect(await unknown.text()).toContain("'nobody' doesn't exist");
    for (const id of ['@a@b', 'a%23b', 'a%3Fb', 'x'.repeat(257)]) {
      const response = await durable.api.request('POST', `orchestrators/chain/${id}`, '');
      expect({ id, status: response.status }).toEqual({ id, status: 400 });
    }
    const noJson = await durable.api.request('POST', 'orchestrators/chain', '{');
    expect(noJson.status).toBe(400);
  });

  it('makes an instance of one id run once, however many start it at a time', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        durable.api.request('POST', 'orchestrators/approval/singleton', ''),
      ),
    );
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([202, ...Array.from({ length: 7 }, () => 409)]);
    await durable.api.raise('singleton', 'approve', 1);
    expect((await durable.api.until('singleton')).output).toBe(1);
    // When it is over, its id may be used again: with a new history.
    await durable.api.start('chain', undefined, 'singleton');
    const again = await durable.api.until('singleton', ({ name, runtimeStatus }) => {
      return name === 'chain' && runtimeStatus === 'Completed';
    });
    expect(again.output).toEqual(['Hello Tokyo', 'Hello Seattle']);
  });

  it('can wait for the result', async () => {
    const path = 'orchestrators/child?timeout=30&pollingInterval=0.1';
    const response = await durable.api.request('POST', path, '"Bonn"');
    expect(response.status).toBe(200);
    expect(await response.json()).toBe('Hello Bonn');
  });
});

describe('status', () => {
  it('of an unknown instance is 404', async () => {
    expect((await durable.api.request('GET', 'instances/nobody')).status).toBe(404);
    expect((await durable.client('getStatus', 'nobody')).error).toContain('404');
  });

  it('shows the history: questions with their answers, no marks of episodes', async () => {
    await durable.api.run('chain', undefined, 'shown');
    const { historyEvents = [] } = await durable.api.status(
      'shown',
      'showHistory=true&showHistoryOutput=true',
    );
    expect(historyEvents.map(({ EventType }) => EventType)).toEqual([
      'ExecutionStarted',
      'TaskCompleted',
      'TaskCompleted',
      'ExecutionCompleted',
    ]);
    expect(historyEvents[1]).toMatchObject({ FunctionName: 'hello', Result: 'Hello Tokyo' });
  });

  it('of a failed instance is 500 only when that is asked for', async () => {
    await durable.api.run('fails', 'x', 'failed-status');
    expect((await durable.api.request('GET', 'instances/failed-status')).status).toBe(200);
    const asked = 'instances/failed-status?returnInternalServerErrorOnFailure=true';
    expect((await durable.api.request('GET', asked)).status).toBe(500);
  });

  it('of many comes in pages, filtered by time, state and prefix', async () => {
    const from = new Date(Date.now() - 1_000).toISOString();
    for (let index = 0; index < 7; index += 1) {
      await durable.api.run('child', index, `page-${index}`);
    }
    const seen: string[] = [];
    let token: string | null = null;
    do {
      const response: Response = await fetch(
        `${durable.host.httpUrl}/runtime/webhooks/durabletask/instances/?instanceIdPrefix=page-&top=3&runtimeStatus=Completed&createdTimeFrom=${from}`,
        { headers: token === null ? {} : { 'x-ms-continuation-token': token } },
      );
      const page = (await response.json()) as DurableStatus[];
      expect(page.length).toBeLessThanOrEqual(3);
      seen.push(...page.map(({ instanceId }) => instanceId));
      token = response.headers.get('x-ms-continuation-token');
    } while (token !== null);
    expect(seen.sort()).toEqual(Array.from({ length: 7 }, (_unused, index) => `page-${index}`));
    const { result } = await durable.client('getStatusBy', {
      filter: { createdTimeFrom: from, runtimeStatus: ['Completed'] },
    });
    const ids = (result as DurableStatus[]).map(({ instanceId }) => instanceId);
    expect(ids).toEqual(expect.arrayContaining(seen));
    const none = await durable.client('getStatusBy', { filter: { runtimeStatus: ['Terminated'] } });
    expect(none.result).toEqual([]);
  });
});

describe('a filter by state', () => {
  const listed = (query: string): Promise<Response> =>
    durable.api.request('GET', `instances?instanceIdPrefix=by-state&runtimeStatus=${query}`);

  it('takes states in any case, and refuses what is none', async () => {
    await durable.api.run('child', 'you', 'by-state');
    const found = (await (await listed('running,%20completed')).json()) as DurableStatus[];
    expect(found.map(({ instanceId }) => instanceId)).toEqual(['by-state']);
    const wrong = await listed('Complete');
    expect(wrong.status).toBe(400);
    expect(await wrong.text()).toContain("'Complete' is none of Pending");
  });
});

describe('events', () => {
  it('to nobody are 404, to one that is over 410, without JSON 400', async () => {
    expect((await durable.client('raiseEvent', 'nobody', 'x', 1)).error).toContain('nobody');
    await durable.api.run('chain', undefined, 'over');
    const over = await durable.api.request('POST', 'instances/over/raiseEvent/x', '1');
    expect(over.status).toBe(410);
    const id = await durable.api.start('approval');
    const noJson = await fetch(
      `${durable.host.httpUrl}/runtime/webhooks/durabletask/instances/${id}/raiseEvent/approve`,
      { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } },
    );
    expect(noJson.status).toBe(400);
    expect((await durable.client('raiseEvent', id, 'approve', { yes: true })).error).toBe(
      undefined,
    );
    expect((await durable.api.until(id)).output).toEqual({ yes: true });
  });
});

describe('terminate, suspend, resume', () => {
  it('ends an instance with its reason, and its id is free again', async () => {
    const id = await durable.api.start('approval', undefined, 'ended');
    await durable.api.until(id, isRunning);
    expect((await durable.client('terminate', id, 'enough')).error).toBe(undefined);
    const { runtimeStatus, output } = await durable.api.until(id);
    expect({ runtimeStatus, output }).toEqual({ runtimeStatus: 'Terminated', output: 'enough' });
    expect((await durable.api.request('POST', `instances/${id}/terminate`)).status).toBe(410);
  });

  it('a terminated sub-orchestration fails at its parent', async () => {
    const id = await durable.api.start('waitingParent', undefined, 'waiting');
    await durable.api.until('waiting-child', isRunning);
    await durable.client('terminate', 'waiting-child', 'child ended');
    expect((await durable.api.until(id)).output).toBe('child ended');
  });

  it('holds events and new work back until it is resumed', async () => {
    const id = await durable.api.start('suspendable');
    await durable.api.until(id, isRunning);
    await durable.client('suspend', id, 'wait');
    await durable.api.until(id, ({ runtimeStatus }) => runtimeStatus === 'Suspended');
    await durable.api.raise(id, 'go', 'held');
    const { historyEvents = [] } = await durable.api.until(id, () => true);
    expect(historyEvents).toEqual([]);
    const before = await durable.api.status(id);
    expect(before.runtimeStatus).toBe('Suspended');
    await durable.client('resume', id, 'go on');
    expect((await durable.api.until(id)).output).toBe('held!');
  });
});

describe('restart and purge', () => {
  it('restarts with the same input under a new id or the same', async () => {
    await durable.api.run('child', 'again', 'restarted');
    const fresh = await durable.api.request('POST', 'instances/restarted/restart');
    const { id } = (await fresh.json()) as { id: string };
    expect(id).not.toBe('restarted');
    expect((await durable.api.until(id)).output).toBe('Hello again');
    const same = await durable.api.request(
      'POST',
      'instances/restarted/restart?restartWithNewInstanceId=false',
    );
    expect(same.status).toBe(202);
    await durable.api.until('restarted');
  });

  it('purges one that is over, with its blobs, and no other', async () => {
    await durable.api.run('largePayloads', 'x'.repeat(60_000), 'purged');
    expect(await rowsOf('TestHubHistory', 'purged')).not.toEqual([]);
    expect((await durable.client('purgeInstanceHistory', 'purged')).result).toEqual({
      instancesDeleted: 1,
    });
    expect(await rowsOf('TestHubHistory', 'purged')).toEqual([]);
    expect(await rowsOf('TestHubInstances', 'purged')).toEqual([]);
    const container = new ContainerClient(
      durable.azurite.connectionString,
      'testhub-largemessages',
    );
    const blobs: string[] = [];
    for await (const { name } of container.listBlobsFlat({ prefix: 'purged/' })) blobs.push(name);
    expect(blobs).toEqual([]);
    const id = await durable.api.start('approval');
    const running = await durable.api.request('DELETE', `instances/${id}`);
    expect(running.status).toBe(412);
    expect(await running.json()).toMatch(/^Only orchestrations in a terminal state can be purged/);
    await durable.client('terminate', id, 'the test is over');
  });

  it('purges by filter, which must have a time', async () => {
    expect((await durable.api.request('DELETE', 'instances/')).status).toBe(400);
    await durable.api.run('chain');
    const { result } = await durable.client('purgeInstanceHistoryBy', {
      filter: { createdTimeFrom: new Date(0).toISOString(), runtimeStatus: ['Completed'] },
    });
    expect((result as { instancesDeleted: number }).instancesDeleted).toBeGreaterThan(0);
    const none = await durable.client('getStatusBy', { filter: { runtimeStatus: ['Completed'] } });
    expect(none.result).toEqual([]);
  });
});

describe('rewind', () => {
  it('is for failed instances only', async () => {
    await durable.api.run('chain', undefined, 'whole');
    const response = await durable.api.request('POST', 'instances/whole/rewind?reason=x');
    expect(response.status).toBe(410);
    expect((await durable.client('rewind', 'nobody', 'x')).error).toContain('nobody');
  });
});

describe('tables', () => {
  it('have the names and columns of the Azure Storage provider', async () => {
    await durable.api.run('child', 'tools', 'told');
    const [instance] = await rowsOf('TestHubInstances', 'told');
    expect(instance).toMatchObject({
      Name: 'child',
      RuntimeStatus: 'Completed',
      Input: '"tools"',
      Output: '"Hello tools"',
      TaskHubName: 'TestHub',
    });
    const history = await rowsOf('TestHubHistory', 'told');
    expect(history.map(({ EventType, rowKey }) => EventType ?? rowKey)).toEqual([
      'OrchestratorStarted',
      'ExecutionStarted',
      'TaskScheduled',
      'OrchestratorCompleted',
      'OrchestratorStarted',
      'TaskCompleted',
      'ExecutionCompleted',
      'OrchestratorCompleted',
      'sentinel',
    ]);
    expect(history[0]?.['rowKey']).toBe('0000000000000000');
    expect(history[2]).toMatchObject({ EventId: 0, Name: 'hello', Input: '["\\"tools\\""]' });
    expect(history[5]).toMatchObject({ TaskScheduledId: 0, Result: '"Hello tools"' });
    const executions = new Set(history.map(({ ExecutionId }) => ExecutionId));
    expect(executions).toEqual(new Set([instance?.['ExecutionId']]));
    expect(await rowsOf('TestHubInbox', 'told')).toEqual([]);
  });
});
