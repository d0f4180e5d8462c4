// Goal: HTTP functions are routed, authorized and answered as the platform does it.
import { mkdtempSync, rmSync } from 'node:fs';
import { request as send } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RawConnection } from '../../support/raw-http';
import { jsonOf, pause, startRun, until, type Run } from './support';

jest.setTimeout(60_000);

const place = { folder: mkdtempSync(join(tmpdir(), 'millrace-http-')) };
let run: Run;

beforeAll(async () => {
  run = await startRun(place, 'http', {
    settings: { FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '100000' },
    hostJson: { extensions: { http: { customHeaders: { 'x-everywhere': 'yes' } } } },
  });
});

afterAll(async () => {
  await run.close();
  rmSync(place.folder, { recursive: true });
});

const call = (path: string, init?: RequestInit): Promise<Response> =>
  fetch(`${run.host.httpUrl}${path}`, init);

test('a request arrives whole and the answer goes back whole', async () => {
  const response = await call('/api/echo?a=1&b=two%20words', {
    method: 'POST',
    headers: { 'x-test': 'here', cookie: 'k=v; l=w' },
    body: 'grüße',
  });
  expect(response.status).toBe(201);
  expect(response.headers.get('x-function')).toBe('echo');
  expect(response.headers.get('x-everywhere')).toBe('yes');
  expect(response.headers.getSetCookie()).toEqual([
    'seen=a%20b; Path=/; Max-Age=60; HttpOnly; SameSite=Strict',
  ]);
  expect(await response.json()).toEqual({
    url: `${run.host.httpUrl}/api/echo?a=1&b=two%20words`,
    method: 'POST',
    params: {},
    query: { a: '1', b: 'two words' },
    header: 'here',
    cookie: 'k=v; l=w',
    body: 'grüße',
  });
});

test.each<[string, number, Record<string, string>]>([
  ['/api/shop/toys/12', 201, { category: 'toys', id: '12' }],
  ['/API/SHOP/toys/12/', 201, { category: 'toys', id: '12' }],
  ['/api/shop/toys/ball', 201, { category: 'toys', name: 'ball' }],
  ['/api/shop/caf%C3%A9/x%2Fy', 201, { category: 'café', name: 'x%2Fy' }],
  ['/api/shop/toys/list', 201, { category: 'toys' }],
  ['/api/shop/toys', 404, {}],
  ['/api/shop/toys/12/more', 404, {}],
  ['/api/pages', 201, {}],
  ['/api/pages/3', 201, { number: '3' }],
  ['/api/files', 201, {}],
  ['/api/files/a/b%20c/d.txt', 201, { rest: 'a/b c/d.txt' }],
  ['/api/v2.11/about', 201, { major: '2', minor: '11' }],
  ['/api/v2.x/about', 404, {}],
  ['/echo', 404, {}],
  ['/api/missing', 404, {}],
  ['/api/shop/toys/100%25', 201, { category: 'toys', name: '100%' }],
  ['/api/shop/toys/a%252Fb', 201, { category: 'toys', name: 'a%2Fb' }],
  ['/api/shop/toys/50%zz', 201, { category: 'toys', name: '50%zz' }],
  ['/api/files/a%2Fb/c', 201, { rest: 'a%2Fb/c' }],
  ['//api/echo', 404, {}],
  ['/api//echo', 404, {}],
  ['/api/%65cho', 201, {}],
])('route %s gives %i', async (path, status, params) => {
  const response = await call(path);
  expect(response.status).toBe(status);
  if (status === 201) expect((await jsonOf(response)).params).toEqual(params);
});

test.each<[string, Record<string, string>]>([
  ['?a=1&a=2', { a: '1,2' }],
  ['?a=1&A=2', { a: '1,2' }],
  ['?tag[]=x&tag[]=y', { 'tag[]': 'x,y' }],
  ['?a=1&b=2&a=', { a: '1,', b: '2' }],
  ['?a', { a: '' }],
])('a query parameter given twice has both values: %s', async (query, expected) => {
  expect((await jsonOf(await call(`/api/echo${query}`))).query).toEqual(expected);
});

test('a header given twice has both values, as .NET joins them', async () => {
  const made = await RawConnection.open(run.host.httpUrl);
  made.sendHead('GET /api/echo HTTP/1.1', 'Host: localhost', 'X-Test: a', 'x-test: b');
  expect(JSON.parse((await made.answer()).body).header).toBe('a,b');
  made.close();
});

test.each<[string, number]>([
  ['30 KB', 30 * 1024],
  ['all but the limit of 32 KB', 32_768 - 100],
])('headers of %s reach the function', async (_name, bytes) => {
  const response = await call('/api/echo', { headers: { 'x-test': 'x'.repeat(bytes - 200) } });
  expect(response.status).toBe(201);
  expect((await jsonOf(response)).header).toHaveLength(bytes - 200);
});

test.each<[string, number, string, string[]]>([
  ['headers over 32 KB', 431, 'GET /api/echo HTTP/1.1', [`X-Test: ${'x'.repeat(32_800)}`]],
  ['headers over what is parsed', 431, 'GET /api/echo HTTP/1.1', [`X-Test: ${'x'.repeat(90_000)}`]],
  [
    '101 headers',
    431,
    'GET /api/echo HTTP/1.1',
    Array.from({ length: 100 }, (_, at) => `X${at}: a`),
  ],
  ['a request line over 8 KB', 414, `GET /api/echo?a=${'x'.repeat(8_200)} HTTP/1.1`, []],
  ['no request at all', 400, 'nonsense', []],
  ['a null byte in the path', 400, 'GET /api/echo%00 HTTP/1.1', []],
])('%s is %i', async (_name, status, line, headers) => {
  const made = await RawConnection.open(run.host.httpUrl);
  made.sendHead(line, 'Host: localhost', ...headers);
  expect((await made.answer()).status).toBe(status);
  expect(await made.over()).toBe('ended');
  made.close();
});

test('what is thrown and no error is logged as the worker puts it', async () => {
  run.lines.length = 0;
  expect((await call('/api/throwsObject')).status).toBe(500);
  expect(run.lines.some((line) => line.includes('{"code":5}'))).toBe(true);
});

test('another method than the declared ones is 404', async () => {
  expect((await call('/api/echo', { method: 'DELETE' })).status).toBe(404);
  expect((await call('/api/onlyPut')).status).toBe(404);
  expect((await call('/api/onlyPut', { method: 'PUT', body: 'x' })).status).toBe(201);
});

test('HEAD has the headers and no body', async () => {
  const response = await call('/api/echo', { method: 'HEAD' });
  expect(response.status).toBe(201);
  expect(response.headers.get('x-function')).toBe('echo');
  expect(await response.text()).toBe('');
});

test('a throw is 500 with an empty body, logged once', async () => {
  const response = await call('/api/throws');
  expect(response.status).toBe(500);
  expect(await response.text()).toBe('');
  const said = run.lines.filter((line) => line.includes('this went wrong'));
  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(
    /Executed 'Functions.throws' \(Failed, Id=[\da-f-]{36}, Duration=\d+ms\)/,
  );
});

test('nothing returned is 204; bytes come as they are', async () => {
  expect((await call('/api/nothing')).status).toBe(204);
  const bytes = new Uint8Array(await (await call('/api/bytes')).arrayBuffer());
  expect(Array.from(bytes)).toEqual([0, 1, 2, 255]);
});

test('a body over the limit is 413, one at the limit arrives', async () => {
  const large = await call('/api/echo', { method: 'POST', body: 'x'.repeat(100_001) });
  expect(large.status).toBe(413);
  const fitting = await call('/api/echo', { method: 'POST', body: 'x'.repeat(100_000) });
  expect((await jsonOf(fitting)).body).toHaveLength(100_000);
});

test('a body without content-length does not reach the function, and the log says so', async () => {
  const body = await new Promise<string>((resolve, reject) => {
    const request = send(`${run.host.httpUrl}/api/echo`, { method: 'POST' }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
    request.write('in ');
    request.end('chunks');
  });
  expect(JSON.parse(body).body).toBe('');
  expect(run.lines.some((line) => line.includes('without content-length'))).toBe(true);
});

test('without enableAuth every caller is the administrator', async () => {
  expect(await (await call('/api/forFunction')).text()).toBe('in');
  expect(await (await call('/api/forAdmin')).text()).toBe('in');
});

test('the admin routes tell of the host', async () => {
  expect((await call('/admin/host/ping')).status).toBe(200);
  const status = await jsonOf(await call('/admin/host/status'));
  expect(status.state).toBe('Running');
  expect(status.workers).toHaveLength(1);
  const functions = await jsonOf(await call('/admin/functions'));
  expect(functions.map(({ name }: { name: string }) => name)).toContain('onlyPut');
  expect((await call('/admin/functions/none', { method: 'POST', body: '{}' })).status).toBe(404);
});

test('host-style lines are logged around an invocation', async () => {
  await call('/api/nothing');
  await until('Executed is logged', () =>
    run.lines.find((line) => /Executed 'Functions.nothing' \(Succeeded/.test(line)),
  );
  expect(run.lines).toContainEqual(
    expect.stringMatching(
      /info: Function\.nothing: Executing 'Functions\.nothing' \(Reason='This function was programmatically called via the host APIs\.', Id=/,
    ),
  );
});

describe('with keys', () => {
  let guarded: Run;
  const keys = {
    host: { _master: 'master-key', default: 'host-key' },
    functions: { forFunction: { default: 'function-key' } },
    system: { durabletask_extension: 'system-key' },
  };

  beforeAll(async () => {
    guarded = await startRun(place, 'http', {
      ...{ enableAuth: true, keys },
      hostJson: { extensions: { http: { routePrefix: '' } } },
    });
  });
  afterAll(() => guarded.close());

  test.each<[string, string | null, number]>([
    ['/echo', null, 201],
    ['/forFunction', null, 401],
    ['/forFunction', 'wrong', 401],
    ['/forFunction', 'function-key', 200],
    ['/forFunction', 'host-key', 200],
    ['/forFunction', 'master-key', 200],
    ['/forFunction', 'system-key', 401],
    ['/forAdmin', 'function-key', 401],
    ['/forAdmin', 'host-key', 401],
    ['/forAdmin', 'master-key', 200],
    ['/admin/host/status', null, 401],
    ['/admin/host/status', 'host-key', 401],
    ['/admin/host/status', 'master-key', 200],
    ['/admin/functions', 'host-key', 401],
    ['/admin/host/ping', null, 200],
  ])('%s with key %s is %i', async (path, key, status) => {
    const url = `${guarded.host.httpUrl}${path}`;
    const headers: Record<string, string> = key === null ? {} : { 'x-functions-key': key };
    expect((await fetch(url, { headers })).status).toBe(status);
    if (key !== null) expect((await fetch(`${url}?code=${key}`)).status).toBe(status);
  });

  test('the header stands before the query', async () => {
    const response = await fetch(`${guarded.host.httpUrl}/forFunction?code=function-key`, {
      headers: { 'x-functions-key': 'wrong' },
    });
    expect(response.status).toBe(401);
  });
});

describe('functions that settings or host.json take away', () => {
  let fewer: Run;
  beforeAll(async () => {
    fewer = await startRun(place, 'http', {
      ...{ enableAuth: true, keys: { host: { _master: 'master' }, functions: {}, system: {} } },
      hostJson: { functions: ['echo', 'NOTHING'] },
      settings: { 'AzureWebJobs.echo.Disabled': '1' },
    });
  });
  afterAll(() => fewer.close());

  test('a disabled one is not found but by the administrator; one that is not listed by nobody', async () => {
    const status = async (path: string, headers = {}): Promise<number> =>
      (await fetch(`${fewer.host.httpUrl}${path}`, { headers })).status;
    const administrator = { 'x-functions-key': 'master' };
    expect(await status('/api/echo')).toBe(404);
    expect(await status('/api/echo', administrator)).toBe(201);
    expect(await status('/api/nothing')).toBe(204);
    expect(await status('/api/bytes', administrator)).toBe(404);
    const known = await fetch(`${fewer.host.httpUrl}/admin/functions`, { headers: administrator });
    expect(await known.json()).toMatchObject([
      { name: 'echo', isDisabled: true },
      { name: 'nothing', isDisabled: false },
    ]);
  });
});

describe('a worker that is taken away', () => {
  let many: Run;
  beforeAll(async () => {
    many = await startRun(place, 'http', { workers: 2 });
  });
  afterAll(() => many.close());

  test('answers what it has begun and gets nothing more', async () => {
    const slowly = (): Promise<number> =>
      fetch(`${many.host.httpUrl}/api/slow?milliseconds=1000`).then(({ status }) => status);
    const begun = Array.from({ length: 12 }, slowly);
    await pause(200);
    const [first] = many.host.workers;
    const removed = many.host.removeWorker(first?.id ?? 0);
    const later = Array.from({ length: 12 }, slowly);
    const statuses = await Promise.all([...begun, ...later]);
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    await removed;
    expect(many.host.workers).toHaveLength(1);
  });
});

test('two slashes at the start of a path name no host', async () => {
  const host = new URL(run.host.httpUrl);
  const statusOf = (path: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      send({ host: host.hostname, port: host.port, path }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
  expect(await statusOf('//x/api/echo')).toBe(404);
  expect(await statusOf('//')).toBe(404);
});
