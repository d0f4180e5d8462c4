// Goal: the test that runs after a deployment tells a working app from one that does not work.
// Method: it is run against the local stack: emulator, Azurite, the built app in the local host.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startStack, type Stack } from '../../cli/stack';
import { plan } from '../../shared/planner';
import { topologies } from '../../topologies';
import { repository } from './support/template';

const run = promisify(execFile);
const dataDirectory = mkdtempSync(join(tmpdir(), 'millrace-smoke-'));
let stack: Stack;

beforeAll(async () => {
  stack = await startStack({
    plan: plan(topologies),
    appDirectory: repository,
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
});
