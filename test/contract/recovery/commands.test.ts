// Goal: the commands of docs/OPERATING.md do and say what it says, here and on the app's workers.
// Method: the built command in processes of its own, against a real stack with the flights topology.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventHubProducerClient } from '@azure/event-hubs';
import { startStack, type Stack } from '../../../cli/stack';
import { openStore } from '../../../cli/store';
import { topologies } from '../../../topologies';
import { buildApp, type BuiltApp } from '../../support/build-app';
import { eventually } from '../../support/outcome';
import { builtProcesses } from '../../support/built';

jest.setTimeout(600_000);

const command = join(__dirname, '../../../dist/cli/millrace.js');
const flightCount = 120;
const badCount = 6;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe('commands', () => {
  let directory: string;
  let app: BuiltApp;
  let stack: Stack;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-operating-'));
    app = await buildApp({ topologies: 'topologies/index.ts' });
    stack = await startStack({
      app: { topologies, directory: app.directory, processes: builtProcesses },
      dataDirectory: directory,
      workers: 1,
      ports: { amqp: 0, control: 0, blob: 0, http: 0 },
      settings: {
        MILLRACE_SUPERVISOR: 'durable',
        MILLRACE_SUPERVISOR_PERIOD_MS: '1000',
        MILLRACE_TEND_INTERVAL_MS: '300',
        MILLRACE_FLUSH_ROWS_MAX: '10',
      },
      log: () => undefined,
    });
    await send();
    const ledger = openStore(stack.azurite.connectionString).ledger('flights');
    await eventually(
      async () =>
        (await ledger.refresh())
          .filter(({ path }) => path.stage === 'flights')
          .reduce((sum, account) => sum + account.ledger.read, 0),
      (read) => read >= flightCount + badCount,
      120_000,
    );
  });

  afterAll(async () => {
    await stack.close();
    app.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  async function send(): Promise<void> {
    const producer = new EventHubProducerClient(stack.emulator.connectionString, 'flights');
    const flights = Array.from({ length: flightCount }, (_, id) => ({
      ...{ id, time: Date.UTC(2001, 0, 1) + id * 60_000, delay: id % 40, distance: 100 },
      ...{ origin: 'SEA', destination: 'JFK' },
    }));
    for (let start = 0; start < flights.length; start += 20) {
      const batch = await producer.createBatch({ partitionId: '0' });
      for (const flight of flights.slice(start, start + 20)) batch.tryAdd({ body: flight });
      batch.tryAdd({ body: { id: 'not a number' } });
      await producer.sendBatch(batch);
    }
    await producer.close();
  }

  function millrace(...options: string[]): Promise<Ended> {
    const where = [
      ...['--storage', stack.azurite.connectionString],
      ...['--hubs', stack.emulator.connectionString],
    ];
    return new Promise((resolve) => {
      const child = execFile(
        process.execPath,
        [command, ...where, ...options],
        { maxBuffer: 64 * 1024 * 1024 },
        (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
      );
    });
  }

  it('dead-letters counts by cause and lists with payload', async () => {
    const listed = await millrace('dead-letters', 'flights', '--payload');
    expect(listed.stdout).toContain(`${badCount}  STREAM_EVENT_INVALID in flights/flights`);
    expect(listed.stdout).toContain('not a number');
    const none = await millrace('dead-letters', 'flights', '--code', 'STREAM_EVENT_TOO_LARGE');
    expect(none).toMatchObject({ code: 0, stdout: 'No dead letters.\n' });
    const wrong = await millrace('dead-letters', 'flights', '--since', 'yesterday');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('must be a time such as 2026-06-01, 2026-06-01T12:00Z');
    const unknown = await millrace('redrive', 'nothing');
    expect(unknown.stderr).toContain('no topology is called "nothing"; there is: flights');
  });

  it('redrive processes again, discard settles, and audit agrees', async () => {
    const again = await millrace('redrive', 'flights', '--json');
    expect(again.code).toBe(1);
    expect(JSON.parse(again.stdout)).toMatchObject({
      report: { found: badCount, settled: badCount, ends: { deadLettered: badCount } },
    });
    const discarded = await millrace('redrive', 'flights', '--discard', 'test data', '--json');
    expect(discarded.code).toBe(0);
    expect(JSON.parse(discarded.stdout)).toMatchObject({ report: { settled: badCount } });
    const open = await millrace('dead-letters', 'flights', '--json');
    expect(JSON.parse(open.stdout)).toEqual([]);
    const audit = await millrace('audit', 'flights', '--json');
    expect(JSON.parse(audit.stdout)).toMatchObject({
      status: 'completed',
      report: { discrepancies: 0, ledgers: { flights: { read: flightCount + 2 * badCount } } },
    });
    expect(audit.code).toBe(0);
  });

  it('audit and backfill run on the workers with --on, compact here', async () => {
    const { httpUrl } = stack.host;
    const audit = await millrace('audit', 'flights', '--on', httpUrl, '--json');
    expect(JSON.parse(audit.stdout)).toMatchObject({ status: 'completed' });
    expect(audit.stderr).toContain('runs on the workers');
    const backfill = await millrace('backfill', 'flights', '--on', httpUrl, '--json');
    expect(JSON.parse(backfill.stdout)).toMatchObject({
      status: 'completed',
      report: { ledgers: { 'flights-flights': { read: flightCount + badCount } } },
    });
    const compact = await millrace('compact', 'flights_clean', '--json');
    expect(JSON.parse(compact.stdout)).toMatchObject({ status: 'completed' });
    expect((await millrace('audit', 'flights', '--json')).code).toBe(0);
    const swap = await millrace('backfill', 'flights', '--swap');
    expect(swap.code).toBe(1);
    expect(swap.stderr).toContain('drain it first (millrace drain flights)');
    const nowhere = await millrace('audit', 'flights', '--on', 'http://127.0.0.1:1');
    expect(nowhere.stderr).toContain('does not answer: is the app running there?');
  });

  it('jobs lists, shows and cancels; supervisor tells what it saw', async () => {
    const listed = await millrace('jobs', '--json');
    const [first] = JSON.parse(listed.stdout) as { id: string }[];
    const shown = await millrace('jobs', first?.id ?? '');
    expect(shown.stdout).toContain(first?.id);
    const unknown = await millrace('jobs', 'no-such-job');
    expect(unknown.stderr).toContain('there is no job no-such-job');
    const supervisor = await millrace('supervisor');
    expect(supervisor.stdout).toMatch(/^Supervisor in cycle \d+, \d+ s ago; 8 tasks/);
    expect(supervisor.code).toBe(0);
    const answer = await fetch(`${stack.host.httpUrl}/api/supervisor?decisions=5`);
    expect(await answer.json()).toMatchObject({ lifeSign: { instanceId: 'millrace-supervisor' } });
  });

  it('reset asks twice', async () => {
    expect((await millrace('reset', 'flights')).stderr).toContain("required option '--yes'");
    const { code, stdout } = await millrace('reset', 'flights', '--yes');
    expect(stdout).toContain('"logsEnded"');
    expect(code).toBe(0);
  });
});
