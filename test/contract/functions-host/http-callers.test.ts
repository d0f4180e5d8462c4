// Goal: pages of other sites and names that are bound anew to this machine reach nothing of a local stack.
import { mkdtempSync, rmSync } from 'node:fs';
import { request as send } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEventHubsEmulator, type EventHubsEmulator } from '../../../local/event-hubs';
import { askScaler, startScaleControl, type ScaleControl } from '../../../local/scaler/control';
import type { Scaler } from '../../../local/scaler/scaler';
import { RawConnection } from '../../support/raw-http';
import { startRun, type Run } from './support';

jest.setTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), 'millrace-callers-'));
let run: Run;
let emulator: EventHubsEmulator;
let control: ScaleControl;

beforeAll(async () => {
  run = await startRun({ folder }, 'http', {
    files: {
      'local.settings.json': JSON.stringify({ Host: { CORS: 'https://portal.example/' } }),
    },
  });
  emulator = await startEventHubsEmulator({ port: 0, controlPort: 0 });
  const scaler = { state: { workers: 1 } } as unknown as Scaler;
  control = await startScaleControl({ scaler, dataDirectory: folder });
});
afterAll(async () => {
  await control.close();
  await emulator.close();
  await run.close();
  rmSync(folder, { recursive: true });
});

const statusOf = (
  base: string,
  path: string,
  options: { readonly method?: string; readonly headers?: Record<string, string> },
): Promise<number> =>
  new Promise((resolve, reject) => {
    send(`${base}${path}`, options, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });

const foreign: readonly (readonly [string, Record<string, string>])[] = [
  ['a page of another site', { origin: 'https://evil.example' }],
  ['a page without an origin of its own', { origin: 'null' }],
  ['a request that a page of another site makes', { 'sec-fetch-site': 'cross-site' }],
  ['a name bound anew to this machine', { host: 'evil.example' }],
  ['such a name with the port', { host: 'evil.example:7071' }],
  ['a name that begins like this machine', { host: 'localhost.evil.example' }],
  ['an address of elsewhere', { host: '192.168.1.9' }],
];

describe.each(foreign)('%s', (_name, headers) => {
  test.each([
    ['POST', '/api/echo'],
    ['GET', '/api/echo'],
    ['POST', '/admin/host/drain'],
    ['GET', '/admin/host/status'],
    ['POST', '/admin/functions/echo'],
    ['POST', '/runtime/webhooks/durabletask/orchestrators/x'],
    ['OPTIONS', '/api/echo'],
  ])('may not %s %s', async (method, path) => {
    const given = { 'content-type': 'text/plain', ...headers };
    expect(await statusOf(run.host.httpUrl, path, { method, headers: given })).toBe(403);
  });

  test('gets no answer of the scaler, whatever its token', async () => {
    const url = `http://127.0.0.1:${control.port}`;
    expect(await statusOf(url, '/scale', { method: 'GET', headers })).toBe(403);
    expect(await statusOf(url, '/scale', { method: 'PUT', headers })).toBe(403);
  });

  test.each([
    ['GET', '/hubs'],
    ['POST', '/faults'],
    ['PUT', '/hubs/new'],
    ['DELETE', '/faults'],
  ])("may not %s %s of the emulator's control port", async (method, path) => {
    const url = `http://127.0.0.1:${emulator.controlPort}`;
    expect(await statusOf(url, path, { method, headers })).toBe(403);
  });
});

test('nothing was drained by those who were refused', async () => {
  const response = await fetch(`${run.host.httpUrl}/admin/host/drain/status`);
  expect(await response.json()).toMatchObject({ state: 'Disabled' });
});

test.each<[string, Record<string, string>]>([
  ['a program', {}],
  ['a page of this machine', { origin: 'http://localhost:3000' }],
  [
    'a page of this machine by its address',
    { origin: 'http://127.0.0.1:3000', 'sec-fetch-site': 'cross-site' },
  ],
  ['a page of this machine over IPv6', { origin: 'http://[::1]:3000' }],
  ['an origin that the app allows (Host.CORS)', { origin: 'https://portal.example' }],
  ['another name of this machine', { host: 'app.localhost:7071' }],
  ['its address over IPv6', { host: '[::1]:7071' }],
  [
    'somebody who follows a link',
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
  ],
])('%s may call', async (_name, headers) => {
  expect(await statusOf(run.host.httpUrl, '/api/echo', { headers })).toBe(201);
});

test('programs reach the scaler and the control port', async () => {
  expect(await askScaler(folder, null)).toMatchObject({ workers: 1 });
  expect((await fetch(`http://127.0.0.1:${emulator.controlPort}/hubs`)).status).toBe(200);
});

test.each<[string, string, string[], number]>([
  [
    'an absolute URL of this host',
    'GET http://127.0.0.1:PORT/api/echo HTTP/1.1',
    ['Host: 127.0.0.1:PORT'],
    201,
  ],
  [
    'an absolute URL with a query',
    'GET http://localhost:PORT/api/echo?a=b HTTP/1.1',
    ['Host: localhost:PORT'],
    201,
  ],
  [
    'an absolute URL without its default port',
    'GET http://localhost/api/echo HTTP/1.1',
    ['Host: localhost:80'],
    201,
  ],
  [
    'an absolute URL of another host than Host',
    'GET http://other/api/echo HTTP/1.1',
    ['Host: localhost'],
    400,
  ],
  ['an absolute URL of elsewhere', 'GET http://other/api/echo HTTP/1.1', ['Host: other'], 403],
  ['an absolute URL that is none', 'GET http://[/api/echo HTTP/1.1', ['Host: localhost'], 400],
  ['another scheme', 'GET ftp://localhost/api/echo HTTP/1.1', ['Host: localhost'], 400],
  ['a Host that is none', 'GET /api/echo HTTP/1.1', ['Host: a b'], 400],
  ['a Host with a port that is none', 'GET /api/echo HTTP/1.1', ['Host: localhost:70710'], 400],
  ['a Host with a path', 'GET /api/echo HTTP/1.1', ['Host: localhost/x'], 400],
  ['two Hosts', 'GET /api/echo HTTP/1.1', ['Host: localhost', 'Host: localhost'], 400],
  ['no Host', 'GET /api/echo HTTP/1.1', [], 400],
  ['no Host of an old client', 'GET /api/echo HTTP/1.0', [], 201],
])('%s', async (_name, line, headers, status) => {
  const { port } = new URL(run.host.httpUrl);
  const made = await RawConnection.open(run.host.httpUrl);
  made.sendHead(...[line, ...headers].map((text) => text.replaceAll('PORT', port)));
  expect((await made.answer()).status).toBe(status);
  made.close();
});

test('dots and encoding in a path do not lead past the keys of the admin routes', async () => {
  const guarded = await startRun({ folder }, 'http', {
    enableAuth: true,
    keys: { host: { _master: 'master' }, functions: {}, system: {} },
  });
  try {
    for (const path of [
      '/x/../admin/host/status',
      '/%61dmin/host/status',
      '/x/%2e%2e/admin/host/status',
      '/admin/functions',
      '/x/../admin/functions',
      '/%61dmin/functions',
      '/ADMIN/host/status',
    ]) {
      const made = await RawConnection.open(guarded.host.httpUrl);
      made.sendHead(`GET ${path} HTTP/1.1`, 'Host: localhost');
      expect([path, (await made.answer()).status]).toEqual([path, 401]);
      made.close();
    }
  } finally {
    await guarded.close();
  }
});
