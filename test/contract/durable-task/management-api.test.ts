// Goal: the management API's routes, status codes, bodies and filters are those of the platform's own
// source, and what it can't read is refused before anything is done.
// Method: the fixture app on the real host; requests as scripts write them.
import { DurableHost, type DurableStatus } from '../../support/durable-host';

jest.setTimeout(120_000);

let durable: DurableHost;

beforeAll(async () => {
  durable = await DurableHost.start({ workers: 1 });
});
afterAll(async () => {
  await durable.close();
});

const ask = (method: string, path: string, body?: string): Promise<Response> =>
  durable.api.request(method, path, body);

function askWith(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: string,
): Promise<Response> {
  return fetch(`${durable.host.httpUrl}/runtime/webhooks/durabletask/${path}`, {
    method,
    headers,
    ...(body !== undefined && { body }),
  });
}

async function idsOf(query: string): Promise<string[]> {
  const response = await ask('GET', `instances?${query}`);
  expect(response.status).toBe(200);
  return ((await response.json()) as DurableStatus[]).map(({ instanceId }) => instanceId).sort();
}

async function statusAndText(response: Response): Promise<[number, string]> {
  return [response.status, await response.text()];
}

async function messageOf(response: Response): Promise<string> {
  return ((await response.json()) as { Message: string }).Message;
}

describe('a list of instances', () => {
  beforeAll(async () => {
    await durable.api.run('child', 'you', 'list-completed');
    await durable.api.run('fails', 'x', 'list-failed');
    await durable.api.start('approval', undefined, 'list-running');
    await durable.api.until('list-running', ({ runtimeStatus }) => runtimeStatus === 'Running');
  });
  afterAll(async () => {
    await ask('POST', 'instances/list-running/terminate?reason=over');
  });

  it.each([
    ['runtimeStatus=Completed,Failed', ['list-completed', 'list-failed']],
    ['runtimeStatus=Completed&runtimeStatus=Running', ['list-completed', 'list-running']],
    ['RUNTIMESTATUS=failed', ['list-failed']],
    ['runtimeStatus=Terminated', []],
    ['createdTimeTo=2020-01-01', []],
    ['createdTimeFrom=0001-01-01', ['list-completed', 'list-failed', 'list-running']],
    ['createdTimeFrom=2999-01-01T00:00:00Z', []],
  ])('takes %s', async (query, ids) => {
    expect(await idsOf(`instanceIdPrefix=list-&${query}`)).toEqual(ids);
  });

  it('finds by prefix what begins with it, and takes no sign for a wildcard', async () => {
    expect(await idsOf('instanceIdPrefix=list-c')).toEqual(['list-completed']);
    expect(await idsOf('instanceIdPrefix=list_')).toEqual([]);
    expect(await idsOf(`instanceIdPrefix=${encodeURIComponent("' or ''='")}`)).toEqual([]);
    expect(await idsOf('instanceIdPrefix=%5E')).toEqual([]);
  });

  it('shows inputs unless they are not wanted', async () => {
    const one = async (query: string): Promise<unknown> => {
      const response = await ask('GET', `instances/?instanceIdPrefix=list-c${query}`);
      return ((await response.json()) as DurableStatus[])[0]?.input;
    };
    expect(await one('')).toBe('you');
    expect(await one('&showInput=false')).toBeNull();
  });

  it('comes in pages that hold every instance once', async () => {
    const seen: string[] = [];
    let token = '';
    do {
      const response = await askWith('GET', 'instances?instanceIdPrefix=list-&top=1', {
        ...(token !== '' && { 'x-ms-continuation-token': token }),
      });
      const page = (await response.json()) as DurableStatus[];
      expect(page.length).toBeLessThanOrEqual(1);
      seen.push(...page.map(({ instanceId }) => instanceId));
      token = response.headers.get('x-ms-continuation-token') ?? '';
    } while (token !== '');
    expect(seen.sort()).toEqual(['list-completed', 'list-failed', 'list-running']);
  });

  it.each(['%%%', 'bm90IGpzb24=', 'eyJuZXh0UGFydGl0aW9uS2V5IjoxfQ=='])(
    'refuses the token %s with 400',
    async (token) => {
      const response = await askWith('GET', 'instances', { 'x-ms-continuation-token': token });
      expect(response.status).toBe(400);
      expect(await messageOf(response)).toContain('x-ms-continuation-token');
    },
  );

  it.each([
    `instances?instanceIdPrefix=${'x'.repeat(2_000)}`,
    `instances/${'x'.repeat(600)}`,
    `instances?createdTimeFrom=${'9'.repeat(2_000)}`,
    'instances?createdTimeFrom=yesterday',
    'instances?top=0',
    'instances/%E0%A4%A',
  ])('refuses %s with 400', async (path) => {
    expect((await ask('GET', path)).status).toBe(400);
  });
});

describe('a status', () => {
  it('of what has ended shows a text that is JSON as its value, as .NET does', async () => {
    const id = await durable.api.start('approval');
    await durable.api.until(id, ({ runtimeStatus }) => runtimeStatus === 'Running');
    await ask('POST', `instances/${id}/terminate?reason=${encodeURIComponent('{"why":1}')}`);
    expect((await durable.api.until(id)).output).toEqual({ why: 1 });
  });

  it('of what runs says where to ask again: at the same place', async () => {
    const id = await durable.api.start('approval');
    const path = `instances/${id}?showHistory=true&code=x`;
    const response = await ask('GET', path);
    expect(response.status).toBe(202);
    expect(response.headers.get('retry-after')).toBe('5');
    expect(response.headers.get('location')).toBe(
      `${durable.host.httpUrl}/runtime/webhooks/durabletask/${path}`,
    );
    await ask('POST', `instances/${id}/terminate`);
  });

  it('shows of a history what was asked and not answered, and inputs unless not wanted', async () => {
    const id = await durable.api.start('approval', 3_600_000);
    const { historyEvents = [] } = await durable.api
      .until(id, () => true)
      .then(async () => {
        await durable.api.until(id, ({ runtimeStatus }) => runtimeStatus === 'Running');
        return durable.api.status(id, 'showHistory=true');
      });
    expect(historyEvents.map(({ EventType }) => EventType)).toEqual([
      'ExecutionStarted',
      'TimerCreated',
    ]);
    expect(Object.keys(historyEvents[0] ?? {}).sort()).toEqual(
      ['EventType', 'FunctionName', 'Input', 'Timestamp'].sort(),
    );
    await ask('POST', `instances/${id}/terminate`);
    await durable.api.run('chain', undefined, 'with-history');
    const bare = await durable.api.status('with-history', 'showHistory=true&showInput=false');
    expect(bare.historyEvents?.some((event) => 'Input' in event || 'Result' in event)).toBe(false);
    const full = await durable.api.status(
      'with-history',
      'showHistory=true&showHistoryOutput=true',
    );
    expect(full.historyEvents?.[1]).toMatchObject({
      EventType: 'TaskCompleted',
      FunctionName: 'hello',
      Input: '["\\"Tokyo\\""]',
      Result: 'Hello Tokyo',
    });
  });
});

describe('a start that waits', () => {
  it('does so only when both times are given', async () => {
    const response = await ask('POST', 'orchestrators/child?timeout=30', '"you"');
    expect(response.status).toBe(202);
    const urls = (await response.json()) as Record<string, string>;
    expect(Object.keys(urls).sort()).toEqual(
      [
        ...['id', 'statusQueryGetUri', 'sendEventPostUri', 'terminatePostUri'],
        ...['purgeHistoryDeleteUri', 'restartPostUri', 'suspendPostUri', 'resumePostUri'],
      ].sort(),
    );
  });

  it('for what fails gives its status with 200', async () => {
    const response = await ask('POST', 'orchestrators/fails?timeout=30&pollingInterval=0.1', '"x"');
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ name: 'fails', runtimeStatus: 'Failed' });
  });

  it('for what is not over in time answers as one that does not wait', async () => {
    const path = 'orchestrators/approval/slow?timeout=0.3&pollingInterval=0.1';
    expect((await ask('POST', path)).status).toBe(202);
    await ask('POST', 'instances/slow/terminate');
  });

  it.each(['timeout=1&pollingInterval=2', 'timeout=x&pollingInterval=1', 'timeout=-1'])(
    'refuses %s before it starts anything',
    async (query) => {
      const response = await ask('POST', `orchestrators/child/never-started?${query}`, '1');
      expect(response.status).toBe(400);
      expect((await ask('GET', 'instances/never-started')).status).toBe(404);
    },
  );
});

describe('bodies', () => {
  it.each([
    ['orchestrators/child/no-json', '{'],
    ['orchestrators/child/too-deep', `${'['.repeat(65)}${']'.repeat(65)}`],
  ])('%s: what is no JSON is 400 and starts nothing', async (path, body) => {
    expect((await ask('POST', path, body)).status).toBe(400);
    const id = path.split('/').at(-1) ?? '';
    expect((await ask('GET', `instances/${id}`)).status).toBe(404);
  });

  it('may begin with a byte order mark and be in another charset', async () => {
    const marked = await ask('POST', 'orchestrators/child/marked', '\ufeff"Ä"');
    expect(marked.status).toBe(202);
    expect((await durable.api.until('marked')).output).toBe('Hello Ä');
    const response = await fetch(
      `${durable.host.httpUrl}/runtime/webhooks/durabletask/orchestrators/child/latin`,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json; charset=iso-8859-1' },
        body: Buffer.from('"Ä"', 'latin1'),
      },
    );
    expect(response.status).toBe(202);
    expect((await durable.api.until('latin')).output).toBe('Hello Ä');
  });

  it('of events must be JSON, said so and not empty', async () => {
    const id = await durable.api.start('approval');
    await durable.api.until(id, ({ runtimeStatus }) => runtimeStatus === 'Running');
    const path = `instances/${id}/raiseEvent/approve`;
    const json = { 'content-type': 'application/json' };
    expect((await askWith('POST', path, json, '')).status).toBe(400);
    expect((await askWith('POST', path, json, '{')).status).toBe(400);
    expect((await askWith('POST', path, { 'content-type': 'text/json' }, '1')).status).toBe(400);
    const utf8 = { 'content-type': 'Application/JSON; charset=utf-8' };
    expect((await askWith('POST', path, utf8, '{"yes":1}')).status).toBe(202);
    expect((await durable.api.until(id)).output).toEqual({ yes: 1 });
  });

  it('that nobody wants leave the connection usable', async () => {
    const large = JSON.stringify('x'.repeat(3_000_000));
    for (let time = 0; time < 3; time += 1) {
      expect((await ask('POST', 'nowhere/at/all', large)).status).toBe(404);
      expect((await ask('POST', 'instances/nobody/raiseEvent/x', large)).status).toBe(404);
    }
  });
});

describe('what is no operation', () => {
  it.each([
    ['GET', 'orchestrators/child'],
    ['POST', 'orchestrators'],
    ['POST', 'orchestrators/child/id/more'],
    ['POST', 'instances'],
    ['PUT', 'instances/x'],
    ['POST', 'instances/x'],
    ['GET', 'instances/x/terminate'],
    ['POST', 'instances/x/terminate/more'],
    ['POST', 'instances/x/explode'],
    ['POST', 'instances/x/raiseEvent'],
    ['POST', 'instances/x/raiseEvent/e/more'],
    ['GET', 'instances/x/raiseEvent/e'],
    ['POST', 'instances/x//raiseEvent/e'],
    ['PUT', 'entities/counter/x'],
    ['GET', 'entities/counter/x/more'],
    ['GET', 'nowhere'],
    ['GET', ''],
  ])('%s %s is 404 without a body', async (method, path) => {
    const response = await ask(method, path, method === 'GET' ? undefined : '1');
    expect(await statusAndText(response)).toEqual([404, '']);
  });

  it('is not a matter of upper and lower case', async () => {
    const response = await ask('POST', 'Orchestrators/CHILD/cased', '"you"');
    expect(response.status).toBe(202);
    await durable.api.until('cased');
    expect((await ask('GET', 'INSTANCES/cased')).status).toBe(200);
    expect((await ask('POST', 'instances/cased/RAISEEVENT/x', '1')).status).toBe(410);
  });
});

describe('operations', () => {
  it('on nobody are 404, on what is over 410, both without a body', async () => {
    await durable.api.run('chain', undefined, 'is-over');
    for (const operation of ['raiseEvent/x', 'terminate', 'suspend', 'resume']) {
      const nobody = await ask('POST', `instances/nobody/${operation}`, '1');
      expect(await statusAndText(nobody)).toEqual([404, '']);
      const over = await ask('POST', `instances/is-over/${operation}`, '1');
      expect(await statusAndText(over)).toEqual([410, '']);
    }
  });

  it('that do not fit the state are refused: suspended twice, resumed while it runs', async () => {
    const id = await durable.api.start('approval');
    await durable.api.until(id, ({ runtimeStatus }) => runtimeStatus === 'Running');
    const resumed = await ask('POST', `instances/${id}/resume?reason=x`);
    expect(resumed.status).toBe(500);
    expect(await resumed.json()).toMatchObject({
      Message: 'Something went wrong while processing your request',
      ExceptionMessage: expect.stringContaining('is in the Running state') as unknown,
      ExceptionType: 'System.InvalidOperationException',
    });
    expect((await ask('POST', `instances/${id}/suspend?reason=x`)).status).toBe(202);
    await durable.api.until(id, ({ runtimeStatus }) => runtimeStatus === 'Suspended');
    expect((await ask('POST', `instances/${id}/suspend?reason=x`)).status).toBe(500);
    expect((await ask('POST', `instances/${id}/terminate?reason=x`)).status).toBe(202);
    await durable.api.until(id);
  });

  it('rewind: of nobody 404 and of what runs 412, with the reason', async () => {
    const nobody = await ask('POST', 'instances/nobody/rewind');
    expect(await statusAndText(nobody)).toEqual([
      404,
      JSON.stringify('No orchestration with instance ID "nobody" found.'),
    ]);
    const id = await durable.api.start('approval');
    await durable.api.until(id, ({ runtimeStatus }) => runtimeStatus === 'Running');
    const running = await ask('POST', `instances/${id}/rewind`);
    expect(running.status).toBe(412);
    expect(await running.json()).toMatch(/^This orchestration has status Running, but only/);
    await ask('POST', `instances/${id}/terminate`);
  });

  it('restart: of nobody 400; under an id that runs 409', async () => {
    const nobody = await ask('POST', 'instances/nobody/restart');
    expect(nobody.status).toBe(400);
    expect(await messageOf(nobody)).toMatch(/^InstanceId does not match a valid orchestration/);
    await durable.api.start('approval', undefined, 'still-runs');
    const same = 'instances/still-runs/restart?restartWithNewInstanceId=False';
    expect((await ask('POST', same)).status).toBe(409);
    await ask('POST', 'instances/still-runs/terminate');
  });

  it('restart can wait for the end', async () => {
    await durable.api.run('child', 'again', 'waited-for');
    const path = 'instances/waited-for/restart?timeout=30&pollingInterval=0.1';
    const response = await ask('POST', path);
    expect(await statusAndText(response)).toEqual([200, '"Hello again"']);
  });

  it('on another hub or another storage are refused, not answered from this one', async () => {
    await durable.api.run('child', 'x', 'here');
    expect((await ask('GET', 'instances/here?taskHub=testhub&connection=Storage')).status).toBe(
      200,
    );
    const other = await ask('GET', 'instances/here?taskHub=Other');
    expect(other.status).toBe(400);
    expect(await messageOf(other)).toContain("'TestHub', not 'Other'");
    expect((await ask('GET', 'instances/here?connection=OtherStorage')).status).toBe(400);
  });

  it('makeprimary has nothing to do', async () => {
    expect((await ask('POST', 'makeprimary')).status).toBe(200);
  });
});

describe('ids', () => {
  it.each(['^'.repeat(256), '日'.repeat(256), "a'b", '%25', '~!$&()*+,;=:'])(
    'of any letters hold (%s)',
    async (id) => {
      const path = encodeURIComponent(id);
      expect((await ask('POST', `orchestrators/child/${path}`, '"you"')).status).toBe(202);
      expect(await durable.api.until(path)).toMatchObject({ instanceId: id, output: 'Hello you' });
      expect((await ask('DELETE', `instances/${path}`)).status).toBe(200);
      expect((await ask('GET', `instances/${path}`)).status).toBe(404);
    },
  );

  it('with a null character do not come past the server, as on Kestrel', async () => {
    expect((await ask('POST', 'orchestrators/child/a%00b', '1')).status).toBe(400);
  });

  it.each(['a%2Fb', 'a%5Cb', 'a%C2%85b'])('%s are refused with 400', async (id) => {
    const response = await ask('POST', `orchestrators/child/${id}`, '1');
    expect(response.status).toBe(400);
    expect(await messageOf(response)).toContain('it holds');
  });
});

describe('purging', () => {
  it('by filter takes several states, leaves what does not match, and is 404 with nothing', async () => {
    await durable.api.run('child', 'x', 'purge-completed');
    await durable.api.run('fails', 'x', 'purge-failed');
    const from = 'createdTimeFrom=2020-01-01&instanceIdPrefix=purge-';
    const none = await ask('DELETE', `instances?${from}&createdTimeTo=2020-01-02`);
    expect(await statusAndText(none)).toEqual([404, '']);
    const terminated = await ask('DELETE', `instances?${from}&runtimeStatus=Terminated`);
    expect(terminated.status).toBe(404);
    const states = 'runtimeStatus=Completed&runtimeStatus=Terminated';
    const one = await ask('DELETE', `instances?${from}&${states}`);
    expect(await one.json()).toEqual({ instancesDeleted: 1 });
    expect(await idsOf('instanceIdPrefix=purge-')).toEqual(['purge-failed']);
    const missing = await ask('DELETE', 'instances?runtimeStatus=Failed');
    expect(await statusAndText(missing)).toEqual([
      400,
      JSON.stringify("Please provide value for 'createdTimeFrom' parameter."),
    ]);
  });

  it('of what runs never happens, by id or by filter', async () => {
    await durable.api.start('approval', undefined, 'alive');
    await durable.api.until('alive', ({ runtimeStatus }) => runtimeStatus === 'Running');
    expect((await ask('DELETE', 'instances/alive')).status).toBe(412);
    const filter = 'createdTimeFrom=2020-01-01&instanceIdPrefix=alive&runtimeStatus=Running';
    expect((await ask('DELETE', `instances?${filter}`)).status).toBe(404);
    await durable.api.raise('alive', 'approve', 'still');
    expect((await durable.api.until('alive')).output).toBe('still');
    expect((await ask('DELETE', 'instances/nobody')).status).toBe(404);
  });
});
