// Goal: the test that runs after a deployment tells a working app from one that does not work.
// Method: it is run against the local stack: emulator, Azurite, the built app in the local host.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startStack, type Stack } from '../../cli/stack';
import { topologies } from '../../topologies';
import { startStoreFaultProxy } from '../support/store-fault-proxy';
import { repository } from './support/template';
import { builtProcesses } from '../support/built';

const run = promisify(execFile);
const dataDirectory = mkdtempSync(join(tmpdir(), 'millrace-smoke-'));
let stack: Stack;

beforeAll(async () => {
  stack = await startStack({
    app: { topologies, directory: repository, processes: builtProcesses },
    dataDirectory,
    workers: 1,
    ports: { amqp: 0, control: 0, blob: 0, http: 0 },
    leases: { partitionOwnershipExpirationIntervalMs: 3_000, loadBalancingUpdateIntervalMs: 500 },
    log: () => undefined,
  });
}, 120_000);

afterAll(async () => {
  await stack.close();
  rmSync(dataDirectory, { recursive: true, force: true });
}, 60_000);

const smoke = (storage: string, timeout: string): Promise<{ stdout: string }> =>
  run(
    process.execPath,
    [
      'tools/azure.mjs',
      'smoke',
      '--hubs',
      stack.emulator.connectionString,
      '--storage',
      storage,
      '--timeout',
      timeout,
    ],
    { cwd: repository },
  );

describe('the smoke test', () => {
  it('sees its events through to the ledger, each time it is run', async () => {
    const { connectionString } = stack.azurite;
    expect((await smoke(connectionString, '90')).stdout).toContain(
      '20 read, 20 filtered, balanced',
    );
    expect((await smoke(connectionString, '90')).stdout).toContain('20 were in the ledger before');
  }, 240_000);

  it('waits for roles that arrive late: what is refused at first is tried again', async () => {
    const [, port] = stack.azurite.connectionString.match(/BlobEndpoint=[^;]*:(\d+)\//) ?? [];
    const proxy = await startStoreFaultProxy(Number(port));
    try {
      const fault = {
        kind: 'status',
        status: 403,
        code: 'AuthorizationPermissionMismatch',
      } as const;
      proxy.inject({ fault, times: 2 });
      const { stdout } = await smoke(proxy.connectionString, '90');
      expect(stdout).toContain('20 read, 20 filtered, balanced');
      expect(proxy.applied).toHaveLength(2);
    } finally {
      await proxy.stop();
    }
  }, 120_000);

  it.each([
    ['--events', 'many'],
    ['--events', '0'],
    ['--timeout', '5m'],
  ])('refuses %s %s at once: it would wait for ever, or for nothing', async (option, value) => {
    const command = ['tools/azure.mjs', 'smoke', '--hubs', 'h', '--storage', 's', option, value];
    await expect(
      run(process.execPath, command, { cwd: repository, timeout: 20_000 }),
    ).rejects.toThrow(`${option} must be a whole number above 0, is "${value}"`);
  });

  it('says so when nobody takes them in', async () => {
    await stack.host.close();
    await expect(smoke(stack.azurite.connectionString, '6')).rejects.toThrow(
      /after 6 s the ledger has 0 of 20 events/,
    );
  }, 120_000);

  it('says how it can be run from inside a private network: not as it was, for that is skipped', async () => {
    const places =
      'EVENT_HUBS_NAMESPACE=n.example.org LAKE_BLOB_SERVICE_URI=https://l.example.org/';
    const outputs = Object.fromEntries(places.split(' ').map((one) => one.split('=')));
    const env = { PATH: process.env['PATH'], ...outputs, PRIVATE_NETWORK_ONLY: 'true' };
    const command = ['tools/azure.mjs', 'smoke'];
    const { stdout } = await run(process.execPath, command, { cwd: repository, env });
    expect(stdout).toContain(`Skipped`);
    expect(stdout).toContain(`${places} node tools/azure.mjs smoke`);
  });

  it('says what refuses when the roles never arrive', async () => {
    const nowhere = stack.azurite.connectionString.replaceAll(
      /(127\.0\.0\.1|localhost):\d+/g,
      '127.0.0.1:1',
    );
    await expect(smoke(nowhere, '2')).rejects.toThrow(
      /millrace ledger: STREAM_STORE_UNAVAILABLE[\s\S]*Roles may take ten minutes/,
    );
  }, 120_000);
});
