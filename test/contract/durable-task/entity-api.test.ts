// Goal: entities are reached over HTTP as on the platform: by name and key, with bodies of any kind,
// listed by time and with their state; and no operation asks for one that cannot be.
// Method: the fixture app's entities on the real host.
import { DurableHost, type DurableStatus } from '../../support/durable-host';
import { eventually } from '../../support/outcome';

jest.setTimeout(120_000);

let durable: DurableHost;

interface Listed {
  readonly entityId: { readonly name: string; readonly key: string };
  readonly lastOperationTime: string;
  readonly state: unknown;
}

beforeAll(async () => {
  durable = await DurableHost.start({ workers: 1 });
});
afterAll(async () => {
  await durable.close();
});

const ask = (method: string, path: string, body?: string): Promise<Response> =>
  durable.api.request(method, path, body);

function askWith(path: string, type: string, body: string): Promise<Response> {
  return fetch(`${durable.host.httpUrl}/runtime/webhooks/durabletask/${path}`, {
    method: 'POST',
    headers: { 'content-type': type },
    body,
  });
}

/** Waits until the entity answers so. */
async function untilEntity(path: string, is: (status: number, text: string) => boolean) {
  let last: unknown;
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const response = await ask('GET', path);
    const text = await response.text();
    if (is(response.status, text)) return;
    last = [response.status, text];
    await new Promise((wait) => setTimeout(wait, 20));
  }
  throw new Error(`${path} answers ${JSON.stringify(last)}`);
}

const untilState = (path: string, state: unknown): Promise<void> =>
  untilEntity(path, (status, text) => status === 200 && text === JSON.stringify(state));

async function untilLine(part: string): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    if (durable.lines.some((line) => line.includes(part))) return;
    await new Promise((wait) => setTimeout(wait, 20));
  }
  throw new Error(`no line with '${part}'`);
}

async function listed(query: string): Promise<Listed[]> {
  const response = await ask('GET', `entities/${query}`);
  expect(response.status).toBe(200);
  return (await response.json()) as Listed[];
}

describe('a signal', () => {
  it('takes a body that is no JSON as a text', async () => {
    expect((await askWith('entities/note/text?op=write', 'text/plain', '{"a"')).status).toBe(202);
    await untilState('entities/note/text', { operation: 'write', input: '{"a"' });
    const path = 'entities/note/json?op=write';
    expect((await askWith(path, 'application/json', '{"a":[1]}')).status).toBe(202);
    await untilState('entities/note/json', { operation: 'write', input: { a: [1] } });
  });

  it('without a body has no input, without op an empty operation', async () => {
    expect((await ask('POST', 'entities/note/bare')).status).toBe(202);
    await untilState('entities/note/bare', { operation: '', input: null });
  });

  it('that says JSON and is none is 400 and is not sent', async () => {
    const response = await askWith('entities/note/none?op=write', 'application/json', '{');
    expect(response.status).toBe(400);
    const { Message } = (await response.json()) as { Message: string };
    expect(Message).toMatch(/^Could not parse JSON content: /);
    expect((await ask('GET', 'entities/note/none')).status).toBe(404);
  });

  it('DELETE is the operation delete', async () => {
    await ask('POST', 'entities/note/deleted?op=write', '1');
    await untilState('entities/note/deleted', { operation: 'write', input: 1 });
    expect((await ask('DELETE', 'entities/note/deleted')).status).toBe(202);
    await untilEntity('entities/note/deleted', (status, text) => status === 404 && text === '');
  });

  it('may have an empty key, which is read as $', async () => {
    expect((await ask('POST', 'entities/note?op=write', '"empty"')).status).toBe(202);
    await untilState('entities/note/$', { operation: 'write', input: 'empty' });
  });

  it.each(['日本', 'a b', "o'brien", '100%', '@x@y', '^'.repeat(200)])(
    'reaches a key of any letters (%s)',
    async (key) => {
      const path = `entities/note/${encodeURIComponent(key)}`;
      expect((await ask('POST', `${path}?op=write`, '1')).status).toBe(202);
      await untilState(path, { operation: 'write', input: 1 });
    },
  );

  it.each([
    ['nobody/x', "The function 'nobody' doesn't exist"],
    ['note/a%23b', 'it holds "#"'],
    [`note/${'x'.repeat(600)}`, 'there can be 512'],
    ['', 'no entity name'],
  ])('to %s is refused with 400', async (path, message) => {
    const response = await ask('POST', `entities/${path}?op=write`, '1');
    expect(response.status).toBe(400);
    expect(((await response.json()) as { Message: string }).Message).toContain(message);
  });
});

describe('the list of entities', () => {
  it('shows those that exist, with their state when that is asked for', async () => {
    await ask('POST', 'entities/note/listed?op=write', '"here"');
    await untilState('entities/note/listed', { operation: 'write', input: 'here' });
    await ask('POST', 'entities/note/listed-gone?op=write', '1');
    await untilState('entities/note/listed-gone', { operation: 'write', input: 1 });
    await ask('DELETE', 'entities/note/listed-gone');
    await untilEntity('entities/note/listed-gone', (status) => status === 404);
    const of = (all: readonly Listed[]): readonly Listed[] =>
      all.filter(({ entityId }) => entityId.key.startsWith('listed'));
    expect(of(await listed('note'))).toMatchObject([
      { entityId: { name: 'note', key: 'listed' }, state: null },
    ]);
    expect(of(await listed('Note?fetchState=true'))).toMatchObject([
      { entityId: { key: 'listed' }, state: { operation: 'write', input: 'here' } },
    ]);
  });

  it('goes by the time of the last operation, not of the first', async () => {
    await ask('POST', 'entities/note/timed?op=write', '1');
    await untilState('entities/note/timed', { operation: 'write', input: 1 });
    const timed = (all: readonly Listed[]): Listed | undefined =>
      all.find(({ entityId }) => entityId.key === 'timed');
    // What an entity answers is known a moment before the list has it.
    const { lastOperationTime: first = '' } = await eventually(
      async () => timed(await listed('note')) ?? { lastOperationTime: undefined },
      ({ lastOperationTime }) => lastOperationTime !== undefined,
      30_000,
    );
    const between = new Date(Date.parse(first) + 1).toISOString();
    await ask('POST', 'entities/note/timed?op=write', '2');
    await untilState('entities/note/timed', { operation: 'write', input: 2 });
    expect(timed(await listed(`note?lastOperationTimeFrom=${between}`))).toBeDefined();
    expect(timed(await listed(`note?lastOperationTimeTo=${first}`))).toBeUndefined();
    const { createdTime, lastUpdatedTime } = (await durable.api.status(
      '@note@timed',
    )) as DurableStatus & { readonly createdTime: string; readonly lastUpdatedTime: string };
    expect(Date.parse(createdTime)).toBeLessThanOrEqual(Date.parse(first));
    expect(createdTime <= lastUpdatedTime).toBe(true);
  });

  it('comes in pages, also where many no longer exist', async () => {
    const keys = ['page-a', 'page-b', 'page-c', 'page-d'];
    for (const key of keys) await ask('POST', `entities/note/${key}?op=write`, '1');
    for (const key of keys) await untilEntity(`entities/note/${key}`, (status) => status === 200);
    for (const key of ['page-a', 'page-b']) await ask('DELETE', `entities/note/${key}`);
    for (const key of ['page-a', 'page-b']) {
      await untilEntity(`entities/note/${key}`, (status) => status === 404);
    }
    const seen: string[] = [];
    let token = '';
    do {
      const response: Response = await fetch(
        `${durable.host.httpUrl}/runtime/webhooks/durabletask/entities/note?top=1`,
        { headers: token === '' ? {} : { 'x-ms-continuation-token': token } },
      );
      const page = (await response.json()) as Listed[];
      expect(page.length).toBeLessThanOrEqual(1);
      seen.push(...page.map(({ entityId }) => entityId.key));
      token = response.headers.get('x-ms-continuation-token') ?? '';
      if (token !== '') expect(page).toHaveLength(1);
    } while (token !== '');
    expect(seen.filter((key) => key.startsWith('page-')).sort()).toEqual(['page-c', 'page-d']);
  });

  it('refuses a token that is none', async () => {
    const response = await fetch(
      `${durable.host.httpUrl}/runtime/webhooks/durabletask/entities/note`,
      { headers: { 'x-ms-continuation-token': 'x' } },
    );
    expect(response.status).toBe(400);
  });
});

describe('an entity as an instance', () => {
  it('shows whether it exists, is listed by its prefix and may be purged at any time', async () => {
    await ask('POST', 'entities/note/as-instance?op=write', '1');
    await untilState('entities/note/as-instance', { operation: 'write', input: 1 });
    const id = encodeURIComponent('@note@as-instance');
    expect(await durable.api.status(id)).toMatchObject({
      runtimeStatus: 'Running',
      customStatus: { entityExists: true },
    });
    const response = await ask('GET', `instances?instanceIdPrefix=${id}`);
    expect(await response.json()).toMatchObject([{ instanceId: '@note@as-instance' }]);
    expect(await (await ask('DELETE', `instances/${id}`)).json()).toEqual({ instancesDeleted: 1 });
    expect((await ask('GET', 'entities/note/as-instance')).status).toBe(404);
    await ask('POST', 'entities/note/as-instance?op=write', '2');
    await untilState('entities/note/as-instance', { operation: 'write', input: 2 });
  });
});

describe('an event that a client raises at an entity', () => {
  it.each([
    { id: 'x', lockset: null },
    { id: 'x', lockset: 'ab' },
    { id: 'x', lockset: ['@note@event', 5], pos: 0 },
    { id: 'x', lockset: ['@note@event', 'x'.repeat(600)], pos: 0 },
    { id: 'x', op: 5 },
    { id: 'x', op: 'write', parent: '' },
    { id: 5, op: 'write' },
    [],
    null,
  ])('and that is no request (%j) changes nothing and holds nothing up', async (event) => {
    await ask('POST', 'entities/note/event?op=write', '1');
    await untilState('entities/note/event', { operation: 'write', input: 1 });
    const id = encodeURIComponent('@note@event');
    const raised = await ask('POST', `instances/${id}/raiseEvent/op`, JSON.stringify(event));
    expect(raised.status).toBe(202);
    await ask('POST', 'entities/note/event?op=write', '2');
    await untilState('entities/note/event', { operation: 'write', input: 2 });
  });
});

describe('an orchestration that asks for what cannot be', () => {
  const long = 'x'.repeat(600);
  it.each([
    ['child', long, 'is no instance id'],
    ['child', 'half \ud800', 'half of a surrogate pair'],
    ['call', long, "is no entity's id"],
    ['signal', long, "is no entity's id"],
    ['lock', long, "is no entity's id"],
    ['nobody', 'x', "The function 'nobody' doesn't exist"],
  ])('fails and says so: %s', async (kind, id, message) => {
    const { output, runtimeStatus } = await durable.api.run('asks', { kind, id });
    expect({ runtimeStatus, output }).toEqual({
      runtimeStatus: 'Failed',
      output: expect.stringContaining(message) as unknown,
    });
  });

  it('an entity that signals one that cannot be keeps its state', async () => {
    await ask('POST', 'entities/note/teller?op=write', '1');
    await untilState('entities/note/teller', { operation: 'write', input: 1 });
    await ask('POST', 'entities/note/teller?op=tell', JSON.stringify(long));
    await untilLine("is no entity's id");
    await untilState('entities/note/teller', { operation: 'write', input: 1 });
    await ask('POST', 'entities/note/teller?op=tell', JSON.stringify('listener'));
    await untilState('entities/note/listener', { operation: 'write', input: 'told' });
  });
});
