// Goal: `millrace scale` and `millrace simulate` do and say what docs/SIMULATE.md says.
// Method: the built command in processes of its own; `scale` against a real stack.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStack, type Stack } from '../../../cli/stack';
import { topologies } from '../../fixtures/topologies/orders';
import { buildApp, type BuiltApp } from '../../support/build-app';
import { builtProcesses } from '../../support/built';

jest.setTimeout(300_000);

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const command = join(__dirname, '../../../dist/cli/millrace.js');

/** Not `spawnSync`: the stack that answers may live in this process. */
const millrace = (...options: string[]): Promise<Ended> =>
  new Promise((resolve) => {
    const child = execFile(process.execPath, [command, ...options], (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });

describe('commands', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-commands-'));
  });

  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  describe('millrace scale', () => {
    let app: BuiltApp;
    let stack: Stack | undefined;

    beforeEach(async () => {
      app = await buildApp({ topologies: 'test/fixtures/topologies/orders.ts' });
      stack = await startStack({
        app: { topologies, directory: app.directory, processes: builtProcesses },
        dataDirectory: directory,
        workers: 1,
        ports: { amqp: 0, control: 0, blob: 0, http: 0 },
        log: () => undefined,
      });
    });

    afterEach(async () => {
      await stack?.close();
      app.remove();
    });

    it('sets, shows and frees the workers of a running stack', async () => {
      const pids = () => stack?.host.workers.length;
      const out = await millrace('scale', '3', '--data', directory, '--json');
      expect(out.code).toBe(0);
      expect(JSON.parse(out.stdout)).toMatchObject({ mode: 'manual', workers: 3, wanted: 3 });
      expect(pids()).toBe(3);

      const shown = await millrace('scale', '--data', directory);
      expect(shown.stdout).toContain('3 worker(s) (by hand)');

      const auto = await millrace('scale', '1..2', '--data', directory);
      expect(auto.stdout).toContain('2 worker(s) (automatic, 1 to 2)');
      expect(pids()).toBe(2);

      const none = await millrace('scale', '0', '--data', directory);
      expect(none.stdout).toMatch(/0 worker\(s\) \(by hand\)\n {2}nothing is read/);
      expect(none.code).toBe(0);
      expect(pids()).toBe(0);
      const one = await millrace('scale', '1', '--data', directory);
      expect(one.stdout).toContain('1 worker(s) (by hand)');
      expect(pids()).toBe(1);

      const wrong = await millrace('scale', 'many', '--data', directory);
      expect(wrong.code).toBe(2);
      expect(wrong.stderr).toMatch(/"many" is not a range of workers: give MIN..MAX/);
    });

    it('says that nothing runs when the stack has ended', async () => {
      await stack?.close();
      expect(existsSync(join(directory, 'control.json'))).toBe(false);
      const { code, stderr } = await millrace('scale', '2', '--data', directory);
      expect(code).toBe(1);
      expect(stderr).toContain(`no stack runs on ${directory}`);
    });
  });

  describe('millrace simulate', () => {
    const rate = ['--events-per-second-per-instance', '1000'];

    it('replays a file: numbers as JSON, a picture beside them', async () => {
      const file = join(directory, 'load.csv');
      const plot = join(directory, 'load.svg');
      writeFileSync(file, 'second,eventsPerSecond\n0,500\n60,8000\n90,500\n600,500\n');
      const { code, stdout } = await millrace(
        ...['simulate', '--profile', file, '--plot', plot, '--json', ...rate],
        ...['--partitions', '8', '--target-unprocessed-event-threshold', '1000'],
      );
      expect(code).toBe(0);
      const { series, settings, summary } = JSON.parse(stdout);
      const arrived = 60 * 500 + 30 * 8_000 + 511 * 500;
      expect(summary.events).toMatchObject({ arrived, unprocessed: 0, peakPerSecond: 8_000 });
      expect(summary.events.processed).toBeCloseTo(arrived, 3);
      expect(summary.instances.peak).toBe(8);
      expect(settings).toMatchObject({ partitions: 8, targetUnprocessedEventThreshold: 1_000 });
      expect(Math.max(...series.allocated)).toBe(8);
      expect(readFileSync(plot, 'utf8')).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    });

    it('draws in the terminal and names the cost', async () => {
      const { code, stdout } = await millrace('simulate', '--profile', 'spike', ...rate);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^load .*█.* 10 k events\/s$/m);
      expect(stdout).toMatch(/^events +6,300,000 in 1 h/m);
      expect(stdout).toMatch(/standard: 10 TU, \$[\d.]+/);
      expect(stdout).toMatch(/in all, \$[\d.]+ per million events/);
    });

    it.each([
      [['--profile', 'weekly'], /no such file, and no built-in profile .*spike, daily, ramp/],
      [['--profile', 'spike', '--max-instances', '2000'], /the plan flex has at most 1000/],
      [['--profile', 'spike', '--partitions', '2000'], /no tier of Event Hubs has more than 1024/],
      [['--profile', 'spike', '--instance-memory-mb', '1024'], /instances of 512, 2048, 4096 MB/],
      [['--profile', 'spike', '--always-ready', '101'], /must not be above --max-instances/],
      [['--profile', 'spike', '--skew', '-1'], /must be a number of at least 0/],
    ])('refuses %j', async (options, message) => {
      const { code, stderr, stdout } = await millrace('simulate', ...rate, ...options);
      expect(code).toBe(2);
      expect(stdout).toBe('');
      expect(stderr).toMatch(message);
    });

    it('names the line of a file that it cannot read', async () => {
      const file = join(directory, 'load.csv');
      writeFileSync(file, 'second,eventsPerSecond\n0,500\n60,fast\n');
      const { code, stderr } = await millrace('simulate', '--profile', file, ...rate);
      expect(code).toBe(2);
      expect(stderr).toContain('load.csv:3: events per second must be a number');
    });
  });
});
