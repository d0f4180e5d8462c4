// Goal: apps of every form load as under func start, and what cannot start says all that is wrong.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { appFolder, startRun, until, type Run } from './support';

jest.setTimeout(60_000);

const place = { folder: mkdtempSync(join(tmpdir(), 'millrace-host-')) };
const runs: Run[] = [];

afterEach(async () => {
  for (const run of runs.splice(0)) await run.close();
});
afterAll(() => rmSync(place.folder, { recursive: true }));

async function start(app: string, options: Parameters<typeof startRun>[2] = {}): Promise<Run> {
  const run = await startRun(place, app, options);
  runs.push(run);
  return run;
}

const text = async (run: Run, path: string): Promise<string> =>
  (await fetch(`${run.host.httpUrl}${path}`)).text();

async function failureOf(app: string, options: Parameters<typeof startRun>[2]): Promise<string> {
  return start(app, options).then(
    () => 'it started',
    (error: Error) => error.message,
  );
}

test('main may be a pattern, over CommonJS and ES modules', async () => {
  const run = await start('modules');
  expect(await text(run, '/api/fromCommonJs')).toBe('commonjs');
  expect(await text(run, '/api/fromModule')).toBe('module');
  expect(await text(run, '/api/fromSecondModule')).toBe('second module');
});

test('hooks run in their order and may change what they are given', async () => {
  const run = await start('hooks', { settings: { OWN_SETTING: 'mine' } });
  expect(await text(run, '/api/hooked')).toBe('handled');
  expect(await text(run, '/api/hooked?replace')).toBe('replaced');
  expect(await text(run, '/api/hooked?fault=forgiven')).toBe('all is well');
  expect((await fetch(`${run.host.httpUrl}/api/hooked?fault=bad`)).status).toBe(500);
  await run.host.close();
  const notes = run.notes();
  const port = new URL(run.host.httpUrl).port;
  expect(notes[0]).toMatchObject({
    hook: 'appStart',
    environment: {
      hostname: `localhost:${port}`,
      environment: 'Development',
      runtime: 'node',
      own: 'mine',
    },
  });
  expect(notes[0]?.['environment'].scriptRoot).toBe(notes[0]?.['cwd']);
  expect(notes.slice(1).map(({ hook, error }) => [hook, error])).toEqual([
    ...[
      ['pre', undefined],
      ['post', undefined],
      ['pre', undefined],
      ['post', undefined],
    ],
    ...[
      ['pre', undefined],
      ['post', 'forgiven'],
      ['pre', undefined],
      ['post', 'bad'],
    ],
    ['appTerminate', undefined],
  ]);
  expect(run.lines.some((line) => line.includes('Function.hooked.User: the ***** word'))).toBe(
    true,
  );
});

test('an app that throws at load does not start, and exposes nothing', async () => {
  expect(await failureOf('broken', {})).toMatch(
    /the app does not start: Error: this app is broken/,
  );
});

test('a function that is registered twice does not start', async () => {
  expect(await failureOf('duplicate', {})).toMatch(
    /A function with id "twice" has already been registered\./,
  );
});

test('all faults of host.json and local.settings.json are told together, with file and path', async () => {
  const files = {
    'host.json': `\uFEFF{
      // comments are fine
      "version": "1.0", "functionTimout": "00:01:00",
      "extensions": { "eventHubs": { "maxEventBatchSize": "many", "prefetchCount": -1, "maxWaitTime": "soon" } }, /* so is
      this comma: */
    }`,
    'local.settings.json': JSON.stringify({
      Values: { FUNCTIONS_WORKER_RUNTIME: 'python', Count: 3 },
      Vaules: {},
    }),
  };
  const message = await failureOf('http', { files });
  const lines = message.split('\n').map((line) => line.replace(/^ {2}\S*\//, ''));
  expect(lines).toEqual([
    "the app's settings are not valid:",
    'host.json: functionTimout: unknown name (did you mean functionTimeout?)',
    'host.json: version: must be "2.0"',
    'host.json: extensions.eventHubs.maxEventBatchSize: must be a whole number of at least 1, not "many"',
    'host.json: extensions.eventHubs.maxWaitTime: must be a time span of at most 600 seconds such as "00:05:00", not "soon"',
    'host.json: extensions.eventHubs.prefetchCount: must be a whole number of at least 0, not -1',
    'local.settings.json: Vaules: unknown name (did you mean Values?)',
    'local.settings.json: Values.Count: must be a text, not 3: put it in quotes',
    'local.settings.json: Values.FUNCTIONS_WORKER_RUNTIME: must be "node": this host runs no python apps',
  ]);
});

test.each<[string, Record<string, string>, RegExp]>([
  ['not JSON', { 'host.json': '{\n "version": 2.0.0 }' }, /host\.json: not JSON: .*line 2/],
  ['not an object', { 'host.json': '[]' }, /host\.json: must be a JSON object/],
  [
    'encrypted',
    { 'local.settings.json': '{"IsEncrypted":true,"Values":{"A":"x"}}' },
    /local\.settings\.json: IsEncrypted: the values are encrypted: run `func settings decrypt`/,
  ],
])('settings that are %s are told', async (_what, files, message) => {
  expect(await failureOf('http', { files })).toMatch(message);
});

test('a setting that a binding needs and that is missing is told with setting and function', async () => {
  const message = await failureOf('outputs', {});
  expect(message).toContain(
    "copy: eventHubName '%IN%' does not resolve: the setting IN is missing",
  );
  expect(message).toContain("toHub: eventHubName '%OUT%' does not resolve");
  expect(message).toContain('toBlob: the setting AzureWebJobsStorage');
});

test('a schedule or route that is none is told with its function', async () => {
  const app = `const { app } = require('@azure/functions');
app.timer('never', { schedule: 'now and then', handler: () => {} });
app.http('odd', { route: 'a/{b:colour}', handler: () => {} });`;
  const message = await failureOf('http', { files: { 'app.js': app } });
  expect(message).toMatch(/never: the schedule 'now and then' has 3 fields/);
  expect(message).toMatch(/odd: the route 'api\/a\/\{b:colour\}' has the constraint 'colour'/);
});

test('a worker that ends is started again; one that hangs is ended at functionTimeout', async () => {
  const run = await start('crash', { hostJson: { functionTimeout: '00:00:01' } });
  const first = await text(run, '/api/pid');
  await fetch(`${run.host.httpUrl}/api/exit`).catch(() => null);
  const second = await until('another worker answers', async () => {
    const pid = await text(run, '/api/pid').catch(() => '');
    return /^\d+$/.test(pid) && pid !== first ? pid : null;
  });
  expect((await fetch(`${run.host.httpUrl}/api/block`)).status).toBe(502);
  await until('a third worker answers', async () => {
    const pid = await text(run, '/api/pid').catch(() => '');
    return /^\d+$/.test(pid) && pid !== second ? pid : null;
  });
  expect(run.lines.join('\n')).toMatch(
    /Timeout value of 1000 ms exceeded by function: Functions\.block/,
  );
});

describe('as a command', () => {
  const entry = resolve(__dirname, '../../../dist/local/functions-host/main.js');

  async function command(...args: string[]): Promise<{ code: number | null; output: string }> {
    const child = spawn(process.execPath, [entry, ...args], { stdio: 'pipe' });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    let isAsked = false;
    child.stdout.on('data', () => {
      if (isAsked || !output.includes('Ctrl-C drains')) return;
      isAsked = true;
      child.kill('SIGINT');
    });
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output };
  }

  test('it says how it is used', async () => {
    const { code, output } = await command('--help');
    expect(code).toBe(0);
    expect(output).toContain('--enable-auth');
  });

  test('it starts on a free port, and Ctrl-C ends it', async () => {
    const folder = appFolder('http');
    const { code, output } = await command('--app', folder, '--port', '0');
    rmSync(folder, { recursive: true });
    expect(output).toMatch(/Functions host: http:\/\/127\.0\.0\.1:\d+, 1 worker/);
    expect(code).toBe(0);
  });

  test.each<[string, string, string[], RegExp, number]>([
    ['a broken app', 'broken', [], /this app is broken/, 1],
    ['an option that is none', 'http', ['--workers', 'two'], /--workers must be a whole number/, 1],
    [
      'keys that are none',
      'http',
      ['--keys', '/nowhere/keys.json'],
      /keys\.json: the file is missing/,
      2,
    ],
  ])('%s ends it with an error', async (_what, app, args, message, expected) => {
    const folder = appFolder(app);
    const { code, output } = await command('--app', folder, '--port', '0', ...args);
    rmSync(folder, { recursive: true });
    expect(output).toMatch(message);
    expect(code).toBe(expected);
  });

  test('a port that is taken is told', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const folder = appFolder('http');
    const { code, output } = await command('--app', folder, '--port', String(port));
    other.close();
    rmSync(folder, { recursive: true });
    expect(output).toContain(`the HTTP port ${port} is taken by another program`);
    expect(code).toBe(1);
  });

  test('a host killed with -9 leaves no worker behind', async () => {
    const folder = appFolder('crash');
    const child = spawn(process.execPath, [entry, '--app', folder, '--port', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const pid = await until('the worker is up', () => /\(pid (\d+)\)/.exec(output)?.[1] ?? null);
    writeFileSync(join(place.folder, 'pid'), pid);
    child.kill('SIGKILL');
    await until('the worker is gone', () => {
      try {
        process.kill(Number(pid), 0);
        return false;
      } catch {
        return true;
      }
    });
    rmSync(folder, { recursive: true });
  });
});
