// Goal: whoever has no key, or a wrong one, is refused by every route that asks for one, and nothing
// happens. Method: the built app in the local host with keys, over real sockets. The routes are those
// that the app registers and the host's sources name: one that is new and not tried here fails a test.
import { request as send, type IncomingMessage } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { clientBinding, managementPath } from '../../local/durable-task/client-binding';
import { startEventHubsEmulator, type EventHubsEmulator } from '../../local/event-hubs';
import { assertTrusted } from '../../local/event-hubs/control-callers';
import type { EmulatorProcess } from '../../local/event-hubs/process';
import { startAzurite, startEmulatorProcess, startFunctionsHost } from '../support/built';
import type { FunctionsHost } from '../../local/functions-host';
import type { Azurite } from '../../local/storage';
import { supervisorInstanceId } from '../../shared/supervision/orchestrator';
import { emulatorConfig, plan } from '../../shared/planner';
import { topologies } from '../../topologies';
import { appSettings, deploy, read, repository, runJson } from './support/template';

interface Registered {
  readonly name: string;
  readonly bindings: readonly {
    readonly type: string;
    readonly route?: string;
    readonly methods?: readonly string[];
  }[];
}

const registeredWith = (supervisor: string): Registered[] =>
  runJson<Registered[]>(process.execPath, ['test/infra/support/print-triggers.cjs'], {
    PATH: process.env['PATH'],
    ...appSettings(deploy({ settings: `MILLRACE_SUPERVISOR=${supervisor}` })),
  });
const registered = registeredWith('durable');
const httpRoutes = registered.flatMap(({ bindings, name }) =>
  bindings
    .filter(({ type }) => type === 'httpTrigger')
    .flatMap(({ methods = ['GET', 'POST'], route = name }) =>
      methods.map((method) => ({
        ...{ name, method },
        path: `/api/${route.replaceAll(/\{\w+\??\}/g, 'some-id')}`,
      })),
    ),
);
const firedFunctions = registered
  .filter(({ bindings }) => bindings.some(({ type }) => /^(timer|eventHub)Trigger$/.test(type)))
  .map(({ name }) => name);

const keys = {
  host: { _master: 'the-master-key', default: 'the-host-key' },
  functions: Object.fromEntries(
    [...registered.map(({ name }) => name), 'another'].map((name) => [
      name,
      { default: `the-key-of-${name}` },
    ]),
  ),
  system: { durabletask_extension: 'the-durable-key' },
};

const directory = mkdtempSync(join(tmpdir(), 'millrace-closed-'));
const lines: string[] = [];
let azurite: Azurite;
let emulator: EmulatorProcess;
let host: FunctionsHost;

beforeAll(async () => {
  const config = join(directory, 'event-hubs.json');
  writeFileSync(config, JSON.stringify(emulatorConfig(plan(topologies))));
  azurite = await startAzurite();
  emulator = await startEmulatorProcess({ dataDirectory: join(directory, 'hubs'), config });
  host = await startFunctionsHost({
    ...{ appDirectory: repository, workers: 1, httpPort: 0, enableAuth: true, keys },
    log: (line) => lines.push(line),
    durableTimes: { leaseMs: 3_000, pollIntervalMs: 200 },
    settings: {
      AzureWebJobsStorage: azurite.connectionString,
      LakeStorage: azurite.connectionString,
      EventHubConnection: emulator.connectionString,
      MILLRACE_SUPERVISOR: 'durable',
    },
  });
}, 120_000);

afterAll(async () => {
  await host?.close();
  await emulator?.close();
  await azurite?.close();
  rmSync(directory, { recursive: true, force: true });
}, 60_000);

/** As the bytes are given: `fetch` would tidy the path up. */
function call(
  method: string,
  path: string,
  key: string | null = null,
  to: { readonly url?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<{ readonly status: number; readonly text: string }> {
  const { hostname, port } = new URL(to.url ?? host.httpUrl);
  const body = method === 'GET' ? '' : '{}';
  const headers = {
    'content-type': 'application/json',
    'content-length': body.length,
    ...(key !== null && { 'x-functions-key': key }),
    ...to.headers,
  };
  return new Promise((answered, failed) => {
    send({ hostname, port, method, path, headers }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => answered({ status: response.statusCode ?? 0, text }));
    })
      .on('error', failed)
      .end(body);
  });
}

async function statusesOf(
  method: string,
  path: string,
  wrong: readonly (string | null)[],
): Promise<number[]> {
  const statuses: number[] = [];
  for (const key of wrong) {
    statuses.push((await call(method, path, key)).status);
    if (key === null) continue;
    const joint = path.includes('?') ? '&' : '?';
    statuses.push((await call(method, `${path}${joint}code=${encodeURIComponent(key)}`)).status);
  }
  return Array.from(new Set(statuses));
}

const calledByHand = (name: string): number =>
  lines.filter(
    (line) => line.includes(`Executing 'Functions.${name}'`) && line.includes('via the host APIs'),
  ).length;

const casesIn = (path: string, pattern: RegExp): string[] =>
  Array.from(read(path).matchAll(pattern), ([, found]) => found ?? '');

describe('the routes of the app', () => {
  it('are all there when it runs with Durable Functions: nothing is tried on fewer', () => {
    const names = registered.map(({ name }) => name);
    const withTimer = registeredWith('timer').filter(({ bindings }) =>
      bindings.some(({ type }) => type === 'httpTrigger'),
    );
    expect(names).toEqual(expect.arrayContaining(withTimer.map(({ name }) => name)));
    expect(httpRoutes.length).toBeGreaterThan(4);
  });

  it.each(httpRoutes)('refuse $method $path', async ({ method, name, path }) => {
    const wrong = [null, '', 'wrong', 'the-key-of-another', 'the-durable-key'];
    expect(await statusesOf(method, path, wrong)).toEqual([401]);
    expect(calledByHand(name)).toBe(0);
  });

  it.each(httpRoutes)('let its key do $method $path', async ({ method, name, path }) => {
    expect((await call(method, path, `the-key-of-${name}`)).status).not.toBe(401);
    expect(calledByHand(name)).toBeGreaterThan(0);
  });
});

describe('the admin routes of the host', () => {
  const wrong = [null, '', 'wrong', 'the-host-key', 'the-key-of-another', 'the-durable-key'];
  const routes = [
    ...casesIn('local/functions-host/http-front.ts', /case '(\w+ \/admin\/[\w/]+)'/g),
    'GET /admin/functions',
    'GET /admin/nothing-yet',
    ...firedFunctions.flatMap((name) => [
      `GET /admin/functions/${name}`,
      `POST /admin/functions/${name}`,
    ]),
  ];

  it('are those that the sources name', () => {
    expect(routes.length).toBeGreaterThan(8);
    expect(routes).toContain('POST /admin/host/drain');
  });

  it.each(routes)('refuse %s', async (route) => {
    const [method = '', path = ''] = route.split(' ');
    expect(await statusesOf(method, path, wrong)).toEqual([401]);
    const { text } = await call('GET', '/admin/host/drain/status', 'the-master-key');
    expect(JSON.parse(text)).toMatchObject({ state: 'Disabled' });
    for (const name of firedFunctions) expect([name, calledByHand(name)]).toEqual([name, 0]);
  });

  it.each([
    '/x/../admin/functions/supervisor-watchdog',
    '//x/admin/functions/supervisor-watchdog',
    '/./admin/functions/supervisor-watchdog',
    '/%61dmin/functions/supervisor-watchdog',
    '/ADMIN/Functions/supervisor-watchdog',
    '/api/../admin/functions/supervisor-watchdog',
    '/x/../admin/host/drain',
    '/admin/host/drain/',
    '/Admin/Host/Drain',
  ])('are not reached by another spelling: %s', async (path) => {
    for (const key of wrong) {
      expect([401, 404]).toContain((await call('POST', path, key)).status);
    }
    expect(calledByHand('supervisor-watchdog')).toBe(0);
    const { text } = await call('GET', '/admin/host/drain/status', 'the-master-key');
    expect(JSON.parse(text)).toMatchObject({ state: 'Disabled' });
  });

  it('answer who has the master key', async () => {
    expect((await call('GET', '/admin/host/status', 'the-master-key')).status).toBe(200);
    const path = '/admin/functions/supervisor-watchdog';
    expect((await call('POST', path, 'the-master-key')).status).toBe(202);
  });
});

describe('the management API of Durable Functions', () => {
  const wrong = [null, '', 'wrong', 'the-host-key', 'the-key-of-jobs', 'local'];
  const binding = JSON.parse(
    clientBinding({ httpUrl: 'http://h', hubName: 'hub', webhookKey: '', rpcPath: '/rpc' }),
  ) as Record<'creationUrls' | 'managementUrls', Record<string, string>>;
  /** From the URLs that the host gives to clients: their names end in the method. */
  const fromUrls = Object.entries({ ...binding.creationUrls, ...binding.managementUrls }).flatMap(
    ([name, url]) => {
      const method = name.match(/(Get|Post|Delete)Uri$/)?.[1]?.toUpperCase();
      const path = url
        .replace('http://h', '')
        .replace('{functionName}[/{instanceId}]', 'millraceSupervisor/of-a-stranger')
        .replace('INSTANCEID', supervisorInstanceId)
        .replaceAll(/\{\w+\}/g, '1')
        .replace(/&?code=$/, '');
      return method === undefined ? [] : [`${method} ${path}`];
    },
  );
  const operations = [
    ...fromUrls,
    `GET ${managementPath}/instances`,
    `DELETE ${managementPath}/instances?createdTimeFrom=2000-01-01T00:00:00Z`,
    `DELETE ${managementPath}/instances/${supervisorInstanceId}`,
    `GET ${managementPath}/entities`,
    `GET ${managementPath}/entities/some/one`,
    `POST ${managementPath}/entities/some/one?op=add`,
    `GET ${managementPath}`,
  ];

  const instances = async (): Promise<{ instanceId: string; createdTime: string }[]> => {
    const { text } = await call('GET', `${managementPath}/instances`, 'the-durable-key');
    return JSON.parse(text) as { instanceId: string; createdTime: string }[];
  };
  const supervisorNow = async (): Promise<{ runtimeStatus: string; createdTime: string }> => {
    const path = `${managementPath}/instances/${supervisorInstanceId}`;
    const { text } = await call('GET', path, 'the-durable-key');
    return JSON.parse(text) as { runtimeStatus: string; createdTime: string };
  };

  beforeAll(async () => {
    // Its watchdog starts it, through the client: that works with keys as without.
    while (!(await instances()).some(({ instanceId }) => instanceId === supervisorInstanceId)) {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }, 60_000);

  it('has the operations that its sources name', () => {
    const named = casesIn('local/durable-task/http-api.ts', /case '([a-z]+)'/g);
    const tried = operations.join('\n').toLowerCase();
    expect(named.length).toBeGreaterThan(5);
    for (const operation of named) expect(tried).toContain(`/${operation}`);
  });

  it.each(operations)('refuses %s', async (operation) => {
    const [method = '', path = ''] = operation.split(' ');
    const before = await supervisorNow();
    expect(await statusesOf(method, path, wrong)).toEqual([401]);
    const after = await supervisorNow();
    expect(after.createdTime).toBe(before.createdTime);
    expect(['Running', 'Pending']).toContain(after.runtimeStatus);
    expect((await instances()).map(({ instanceId }) => instanceId)).not.toContain('of-a-stranger');
  });

  it.each([
    '/durabletask/instances',
    '/durabletask/orchestrators/millraceSupervisor/of-a-stranger',
    `/durabletask/${'0'.repeat(48)}/orchestrators/millraceSupervisor/of-a-stranger`,
    `/x/..${managementPath}/orchestrators/millraceSupervisor/of-a-stranger`,
    `/${managementPath}/orchestrators/millraceSupervisor/of-a-stranger`,
    '/Runtime/Webhooks/DurableTask/orchestrators/millraceSupervisor/of-a-stranger',
  ])('is not there for who has not been told its path: %s', async (path) => {
    for (const key of wrong) expect((await call('POST', path, key)).status).toBe(404);
    expect((await instances()).map(({ instanceId }) => instanceId)).not.toContain('of-a-stranger');
  });

  it('answers who has its key, or the master key', async () => {
    for (const key of ['the-durable-key', 'the-master-key']) {
      const { status } = await call('GET', `${managementPath}/instances`, key);
      expect([key, status]).toEqual([key, 200]);
    }
  });
});

describe('the control port of the emulator', () => {
  const source = 'local/event-hubs/control.ts';
  const routes = casesIn(source, /case '(\w+ \/[\w/:]+)'/g).map((route) =>
    route.replace(':name', 'flights'),
  );
  let open: EventHubsEmulator;
  /** An address of this machine other than the loopback. */
  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

  beforeAll(async () => {
    open = await startEventHubsEmulator({
      ...{ host: '0.0.0.0', port: 0, controlPort: 0 },
      dataDirectory: join(directory, 'open'),
    });
  });
  afterAll(() => open.close());

  it('has the routes that its sources name', () => {
    expect(routes.length).toBeGreaterThan(7);
  });

  it.each(routes.filter((route) => !route.startsWith('GET')))(
    'refuses a page of a browser %s',
    async (route) => {
      const [method = '', path = ''] = route.split(' ');
      const url = `http://127.0.0.1:${emulator.controlPort}`;
      const headers = { origin: 'https://example.org' };
      expect((await call(method, path, null, { url, headers })).status).toBe(403);
      const { text } = await call('GET', '/hubs', null, { url });
      expect(text).toContain('"flights"');
    },
  );

  it.each(routes)('refuses a name that a page had bound to this machine, for %s', async (route) => {
    const [method = '', path = ''] = route.split(' ');
    const { controlPort: port } = emulator;
    const status = await new Promise<number>((resolve, reject) => {
      send({ port, method, path, headers: { host: 'example.org' } }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
        .once('error', reject)
        .end();
    });
    expect(status).toBe(403);
  });

  // Another machine cannot be had here: the socket is all that is made up.
  it.each(routes)('refuses another machine %s, but its health', (route) => {
    const [method = '', url = ''] = route.split(' ');
    const ask = (remoteAddress: string): void =>
      assertTrusted({
        ...{ method, url, headers: {}, headersDistinct: { host: ['10.1.2.3:5300'] } },
        socket: { localAddress: '10.1.2.3', remoteAddress },
      } as unknown as IncomingMessage);
    if (route === 'GET /health') ask('10.1.2.4');
    else expect(() => ask('10.1.2.4')).toThrow('only programs on the same machine may do this');
    ask('10.1.2.3');
  });

  const whereThereIsOne = own === undefined ? it.skip : it;

  whereThereIsOne('answers programs of this machine by each of its addresses', async () => {
    const url = `http://${own}:${open.controlPort}`;
    expect((await call('GET', '/hubs', null, { url })).status).toBe(200);
  });
});
