// Goal: the local host passes what `npm run conformance` asks of any Functions host.
// Method: the conformance app runs in the local host on the emulator and Azurite; the runner is a
// process that is given nothing but an address.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { EmulatorProcess } from '../../../local/event-hubs/process';
import { startAzurite, startEmulatorProcess, startFunctionsHost } from '../../support/built';
import type { FunctionsHost } from '../../../local/functions-host';
import type { Azurite } from '../../../local/storage';

const repository = resolve(__dirname, '../../..');
const directory = mkdtempSync(join(tmpdir(), 'millrace-conformance-'));
const app = join(directory, 'app');
const runner = join(directory, 'run.js');
let azurite: Azurite;
let emulator: EmulatorProcess;
let host: FunctionsHost;

beforeAll(async () => {
  const tool = JSON.stringify(pathToFileURL(join(repository, 'tools/conformance.mjs')).href);
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { buildApp, buildRunner } from ${tool}; await buildApp(${JSON.stringify(app)}); await buildRunner(${JSON.stringify(runner)});`,
    ],
    { cwd: repository, encoding: 'utf8' },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  azurite = await startAzurite();
  emulator = await startEmulatorProcess({
    dataDirectory: join(directory, 'hubs'),
    config: join(app, 'event-hubs.json'),
  });
  host = await startFunctionsHost({
    appDirectory: app,
    workers: 1,
    httpPort: 0,
    leases: { partitionOwnershipExpirationIntervalMs: 3_000, loadBalancingUpdateIntervalMs: 500 },
    settings: {
      AzureWebJobsStorage: azurite.connectionString,
      EventHubConnection: emulator.connectionString,
    },
  });
}, 120_000);

afterAll(async () => {
  await host?.close();
  await emulator?.close();
  await azurite?.close();
  rmSync(directory, { recursive: true, force: true });
}, 60_000);

interface Report {
  readonly failed: number;
  readonly outcomes: readonly { readonly name: string; readonly faults: readonly string[] }[];
}

function conformance(...args: string[]): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, [runner, ...args], { cwd: repository });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return new Promise((done) => child.on('close', (code) => done({ code, text })));
}

const checksIn = (name: string): { name: string }[] =>
  JSON.parse(readFileSync(join(repository, 'test/conformance/checks', name), 'utf8')) as {
    name: string;
  }[];

describe('npm run conformance', () => {
  it('passes every check against the local host', async () => {
    const { code, text } = await conformance(
      ...['--host', host.httpUrl, '--json', '--settle', '0.5', '--timeout', '20'],
    );
    const { outcomes } = JSON.parse(text) as Report;
    expect(outcomes.filter(({ faults }) => faults.length > 0)).toEqual([]);
    const files = ['durable.json', 'event-hubs.json', 'http-and-timer.json'];
    const all = files.flatMap(checksIn);
    expect(outcomes.map(({ name }) => name)).toEqual(all.map(({ name }) => name));
    expect(code).toBe(0);
  }, 240_000);

  it('says what it cannot do, with another code', async () => {
    expect(await conformance('--host', host.httpUrl, '--only', 'no-such-check')).toEqual({
      code: 2,
      text: 'no check is called no-such-check; see --list\n',
    });
    const { code, text } = await conformance();
    expect([code, text]).toEqual([2, '--host is missing; --help says more\n']);
    const elsewhere = await conformance('--host', `http://127.0.0.1:${azurite.blobPort}`);
    expect(elsewhere.code).toBe(2);
    expect(elsewhere.text).toContain('/api/conformance/durable/durable-chain/');
  });
});
