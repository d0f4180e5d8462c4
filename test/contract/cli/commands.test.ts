// Goal: what is written wrongly ends with 2 and says how to mend it; a reader that has gone, an empty
// store and large results are no faults.
// Method: the built command in processes of its own, against an empty store.
import { topologies } from '../../../topologies';
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Azurite } from '../../../local/storage';
import { startAzurite } from '../../support/built';

jest.setTimeout(120_000);

const command = join(__dirname, '../../../dist/cli/millrace.js');

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

let directory: string;
let azurite: Azurite;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
  azurite = await startAzurite();
});

afterAll(async () => {
  await azurite.close();
  rmSync(directory, { recursive: true, force: true });
});

/** In a terminal that `script` makes; its output holds all that was printed. */
function onTerminal(options: readonly string[]): Promise<Ended> {
  const line = [process.execPath, command, ...options].map((word) => `'${word}'`).join(' ');
  return ended(spawn('script', ['-qefc', line, '/dev/null'], { cwd: directory }));
}

/** @param isReaderGone nobody reads what it prints */
function millrace(options: readonly string[], isReaderGone = false): Promise<Ended> {
  const child = spawn(process.execPath, [command, ...options], { cwd: directory });
  if (isReaderGone) child.stdout.destroy();
  return ended(child);
}

function ended(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

const here = (...options: string[]): string[] => [
  ...options,
  ...['--storage', azurite.connectionString],
];

describe('what is written wrongly', () => {
  it.each([
    [[], /Usage: millrace/],
    [['nothing'], /unknown command 'nothing'/],
    [['query'], /missing required argument 'sql'/],
    [['explain', 'nothing'], /no topology is called "nothing"; there is: flights/],
    [['ledger', 'nothing', '--json'], /no topology is called "nothing"/],
    [['compact', 'nothing'], /no table is called "nothing"; there is: flights_clean, airport_days/],
    [['start', '--workers', '0'], /must be at least 1/],
    [['start', '--workers', '65'], /must be at most 64/],
    [['start', '--events', '3000001'], /must be at most 3000000/],
    [['demo', '--events', '0'], /must be at least 1/],
    [['demo', '--events', '-5'], /must be a whole number/],
    [['scale', 'many'], /^"many" is not a range of workers: give MIN\.\.MAX/],
    [['jobs', '--cancel', 'why'], /say which job: see millrace jobs/],
    [['jobs', '--resume'], /say which job: see millrace jobs/],
    [['jobs', 'one', '--resume', '--cancel', 'why'], /choose one of --cancel and --resume/],
    [['audit', '--on', 'localhost:7071'], /must be an address such as http:\/\/localhost:7071/],
    [['ledger', '--storage', 'nonsense'], /^--storage is neither a storage connection string nor/],
    [['audit', '--hubs', 'nonsense'], /^--hubs is neither an Event Hubs connection string nor/],
    [['audit', '--hubs', 'Endpoint=sb://x'], /^--hubs is neither an Event Hubs connection string/],
    [
      ['backfill', 'flights', '--since', '2030-01-01T00:00Z', '--until', '2020-01-01T00:00Z'],
      /--since must be before --until/,
    ],
    [
      ['dead-letters', '--since', '2030-01-01T00:00Z', '--until', '2020-01-01T00:00Z'],
      /--since must be before --until/,
    ],
  ])('%j ends with 2', async (options, message) => {
    const { code, stderr, stdout } = await millrace(options);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  it('a data folder that is a file is named', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    for (const name of ['start', 'emulators']) {
      const { code, stderr } = await millrace([name, '--data', file]);
      expect(stderr).toContain(`--data ${file}: name a folder that you may write (EEXIST`);
      expect(code).toBe(2);
    }
  });

  it('help is no fault', async () => {
    expect((await millrace(['--help'])).code).toBe(0);
    const { code, stderr, stdout } = await millrace(['backfill', '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('Usage: millrace backfill');
  });
});

describe('a store without anything', () => {
  it('a job that is not there is not resumed into being', async () => {
    const { code, stderr } = await millrace(here('jobs', 'no-such-job', '--resume'));
    expect(stderr).toBe('there is no job no-such-job: see millrace jobs\n');
    expect(code).toBe(2);
    expect((await millrace(here('jobs', '--json'))).stdout).toBe('[]\n');
  });

  it('a query of a table without rows says that they are to come', async () => {
    const sql = 'select count(*) from Flights_Clean';
    const { code, stderr } = await millrace(here('query', sql, '--json'));
    expect(stderr).toMatch(/^the table flights_clean has no rows yet/);
    expect(code).toBe(1);
  });

  it('is not called balanced, nor looked after', async () => {
    const ledger = await millrace(here('ledger'));
    expect(ledger.stdout).toContain('Nothing is committed on this store yet');
    for (const { name } of topologies) expect(ledger.stdout).toContain(`topology ${name}\n`);
    expect(ledger.stdout).not.toContain('Balanced');
    const supervisor = await millrace(here('supervisor'));
    expect(supervisor.stdout).toMatch(/^Nothing has looked after the tasks of this store yet/);
  });

  const itOnLinux = process.platform === 'linux' ? it : it.skip;
  itOnLinux('on a terminal an error has a line of its own', async () => {
    const { stdout } = await onTerminal(here('backfill', 'flights', '--files', 'nothing/'));

    expect(stdout).toMatch(
      /\r\u001b\[2KSTREAM_CONFIGURATION_INVALID: there is no file in the lake/,
    );
  });

  it('a cell is text on one line, whatever an event brought into it', async () => {
    const sql = "select chr(27) || '[2J' || chr(10) || 'x' as a, [1, 2] as b, {'c': 3} as d";
    const { stdout } = await millrace(here('query', sql));
    const lines = stdout.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(lines).toEqual([['a', 'b', 'd'], ['\\u001b[2J\\nx', '[1,2]', '{"c":3}'], ['']]);
  });

  it('a query may have very many rows', async () => {
    const sql = 'select range as a, 1 as b from range(200000)';
    const { code, stdout } = await millrace(here('query', sql, '--json'));
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toHaveLength(200_000);
  });

  it('a reader that has gone is no fault', async () => {
    const sql = 'select range as a from range(100000)';
    const { code, stderr } = await millrace(here('query', sql), true);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
});
