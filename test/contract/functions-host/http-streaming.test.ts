// Goal: with enableHttpStream requests and answers pass as streams, both ways, and end as they should.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jsonOf, startRun, until, type Run } from './support';

jest.setTimeout(60_000);

const place = { folder: mkdtempSync(join(tmpdir(), 'millrace-stream-')) };
let run: Run;

beforeAll(async () => {
  run = await startRun(place, 'http-stream', {
    settings: { FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '3000000' },
  });
});

afterAll(async () => {
  await run.close();
  rmSync(place.folder, { recursive: true });
});

const call = (path: string, init?: RequestInit): Promise<Response> =>
  fetch(`${run.host.httpUrl}${path}`, init);

test('a body is read as it comes, with route, header and URL of the original request', async () => {
  const response = await call('/api/upload/report?x=1', {
    method: 'POST',
    headers: { 'x-test': 'here' },
    body: 'x'.repeat(2_000_000),
  });
  const seen = await jsonOf(response);
  expect(seen).toMatchObject({
    name: 'report',
    bytes: 2_000_000,
    header: 'here',
    url: `${run.host.httpUrl}/api/upload/report?x=1`,
  });
  expect(seen.chunks).toBeGreaterThan(1);
});

test('a body without declared length over the limit is 413', async () => {
  const chunk = new Uint8Array(500_000);
  let left = 10;
  const body = new ReadableStream({
    pull(controller) {
      left -= 1;
      if (left < 0) controller.close();
      else controller.enqueue(chunk);
    },
  });
  const outcome = await call('/api/upload/large', {
    method: 'POST',
    body,
    duplex: 'half',
  });
  expect(outcome.status).toBe(413);
});

test('server-sent events arrive one by one, while the function still runs', async () => {
  const response = await call('/api/events');
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  const invocation = (): string | undefined =>
    run.lines.find((line) => line.includes("Executed 'Functions.events'"));
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const first = await reader.read();
  expect(Buffer.from(first.value ?? []).toString()).toBe('data: 0\n\n');
  expect(invocation()).toBeUndefined();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    rest += Buffer.from(value).toString();
  }
  expect(rest).toBe('data: 1\n\ndata: 2\n\n');
  await until('the invocation is over', invocation);
});

test('a throw is 500 with an empty body, logged once', async () => {
  for (const method of ['GET', 'POST']) {
    run.lines.length = 0;
    const response = await call('/api/throws', { method, ...(method === 'POST' && { body: 'b' }) });
    expect(response.status).toBe(500);
    expect(await response.text()).toBe('');
    expect(run.lines.filter((line) => line.includes('no stream today'))).toHaveLength(1);
  }
});

test('a stream that breaks in the middle breaks the connection: no answer that looks whole', async () => {
  const response = await call('/api/breaks');
  expect(response.status).toBe(200);
  await expect(response.text()).rejects.toThrow();
});

test('nothing returned is 204', async () => {
  expect((await call('/api/nothing')).status).toBe(204);
});

test('a caller that goes away does not stop the others', async () => {
  const leaving = new AbortController();
  const response = await call('/api/events', { signal: leaving.signal });
  expect(response.status).toBe(200);
  leaving.abort();
  expect((await call('/api/nothing')).status).toBe(204);
});
