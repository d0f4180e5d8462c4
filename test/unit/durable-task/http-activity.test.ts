// Goal: callHttp makes the request the orchestrator gave and follows redirects as the platform does.
// Method: a server that answers by path and notes what came.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HttpRequest, HttpResult } from '../../../local/durable-task/actions';
import { httpActivity } from '../../../local/durable-task/http-activity';

interface Came {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

let server: Server;
let base: string;
let came: Came[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const { method = '', url = '' } = request;
      const { headers } = request;
      came.push({ method, path: url, headers, body: Buffer.concat(chunks).toString() });
      const [, kind, status = '302'] = url.split('/');
      if (kind === 'to-end') response.writeHead(Number(status), { location: '/end' }).end();
      else if (kind === 'round') response.writeHead(302, { location: url }).end('round');
      else if (kind === 'nowhere') response.writeHead(302).end('nowhere');
      else if (kind === 'ftp') response.writeHead(302, { location: 'ftp://example.org/' }).end();
      else {
        response.setHeader('set-cookie', ['a=1', 'b=2']);
        response.setHeader('x-one', 'two');
        response.end('the end');
      }
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  came = [];
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function call(request: Partial<HttpRequest> & { uri: string }): Promise<HttpResult> {
  const text = await httpActivity(JSON.stringify([{ method: 'GET', ...request }]));
  return JSON.parse(text) as HttpResult;
}

it('sends what it was given and nothing that it was not', async () => {
  const headers = { 'X-Mine': 'yes', 'x-many': ['1', '2'] };
  const result = await call({ uri: `${base}/end?a=%20b`, headers, content: 'with a GET' });
  expect(result).toMatchObject({ statusCode: 200, content: 'the end' });
  expect(result.headers).toMatchObject({ 'set-cookie': ['a=1', 'b=2'], 'x-one': 'two' });
  expect(came).toHaveLength(1);
  expect(came[0]).toMatchObject({ method: 'GET', path: '/end?a=%20b', body: 'with a GET' });
  expect(Object.keys(came[0]?.headers ?? {}).sort()).toEqual(
    ['connection', 'content-length', 'content-type', 'host', 'x-many', 'x-mine'].sort(),
  );
  expect(came[0]?.headers['content-type']).toBe('text/plain');
});

describe('a redirect', () => {
  it.each([
    ['GET', 300, 'GET', ''],
    ['GET', 301, 'GET', ''],
    ['GET', 302, 'GET', ''],
    ['GET', 303, 'GET', ''],
    ['POST', 301, 'GET', ''],
    ['POST', 302, 'GET', ''],
    ['POST', 303, 'GET', ''],
    ['PUT', 303, 'GET', ''],
    ['PUT', 302, 'PUT', 'text'],
    ['POST', 307, 'POST', 'text'],
    ['POST', 308, 'POST', 'text'],
  ])('of a %s with %i goes on as %s', async (method, status, nextMethod, body) => {
    const content = method === 'GET' ? {} : { content: 'text' };
    const result = await call({ uri: `${base}/to-end/${status}`, method, ...content });
    expect(result.statusCode).toBe(200);
    expect(came.map((one) => [one.method, one.path])).toEqual([
      [method, `/to-end/${status}`],
      [nextMethod, '/end'],
    ]);
    expect(came[1]?.body).toBe(body);
    expect('content-type' in (came[1]?.headers ?? {})).toBe(body !== '');
  });

  it('takes no credentials along', async () => {
    await call({
      uri: `${base}/to-end/302`,
      headers: { Authorization: 'Bearer x', 'x-mine': 'y' },
    });
    expect(came[0]?.headers['authorization']).toBe('Bearer x');
    expect(came[1]?.headers['authorization']).toBeUndefined();
    expect(came[1]?.headers['x-mine']).toBe('y');
  });

  it('in a circle ends with the fiftieth, which is the answer', async () => {
    const result = await call({ uri: `${base}/round` });
    expect(result).toMatchObject({ statusCode: 302, content: 'round' });
    expect(came).toHaveLength(51);
  });

  it('to nowhere is the answer', async () => {
    expect((await call({ uri: `${base}/nowhere` })).statusCode).toBe(302);
  });

  it('to what is not the web fails', async () => {
    await expect(call({ uri: `${base}/ftp` })).rejects.toThrow("'ftp://example.org/' is no http");
  });
});

it.each(['file:///etc/passwd', 'no url', 'data:,x'])('refuses to ask %s', async (uri) => {
  await expect(call({ uri })).rejects.toThrow(`'${uri}' is no http or https URL`);
});

it('says who did not answer', async () => {
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
  const { port } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  const uri = `http://127.0.0.1:${port}/`;
  await expect(call({ uri })).rejects.toThrow(`GET ${uri}: Error: connect ECONNREFUSED`);
});
