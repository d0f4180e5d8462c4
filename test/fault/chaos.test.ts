// Goal: the chaos run itself works, can fail, does what its seed says, and leaves nothing running.
// Method: it is run as a user runs it, in processes of its own.
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { ChaosReport } from '../chaos/report';
import { faultKinds, notMade, scheduleOf } from '../chaos/schedule';
import { eventually } from '../support/outcome';

jest.setTimeout(600_000);

const markSetting = 'MILLRACE_TEST_MARK';
const repository = resolve(__dirname, '../..');

describe('the schedule of a chaos run', () => {
  const told = (seed: number): string =>
    JSON.stringify(scheduleOf({ seed, forMs: 600_000, gapMs: 8_000, names: null }));

  it('follows from the seed alone', () => {
    expect(told(7)).toBe(told(7));
    expect(told(7)).not.toBe(told(8));
  });

  it('has every kind of fault in ten minutes, whatever the seed', () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const schedule = scheduleOf({ seed, forMs: 600_000, gapMs: 8_000, names: null });
      const missing = faultKinds.filter((kind) => !schedule.some((fault) => fault.kind === kind));
      expect([seed, missing.map(({ name }) => name)]).toEqual([seed, []]);
    }
  });

  it('makes every row of the fault matrix, or says why it does not', () => {
    const named = new Set([
      ...faultKinds.flatMap(({ rows }) => rows.split(' ')),
      ...notMade.map(([row]) => row),
    ]);
    expect([...named].sort()).toEqual(
      Array.from({ length: 26 }, (_, index) => `F${index + 1}`).sort(),
    );
  });
});

describe('docs/CHAOS.md', () => {
  it('has every kind and every row that is not made, as the code has them, and no other', () => {
    const page = readFileSync(resolve(repository, 'docs/CHAOS.md'), 'utf8');
    const rows = Array.from(page.matchAll(/^\| (.+) \|$/gm), ([, row = '']) =>
      row.split('|').map((cell) => cell.trim()),
    ).filter(([first = '']) => /^(`[a-z-]+`|F\d+)$/.test(first));
    expect(rows).toEqual([
      ...faultKinds.map(({ isLong, name, rows: made, text }) => [
        `\`${name}\``,
        made.replaceAll(' ', ', '),
        isLong === true ? `${text} (runs of 3 minutes or more)` : text,
      ]),
      ...notMade.map((one) => [...one]),
    ]);
  });
});

describe('a chaos run', () => {
  let child: ChildProcess | undefined;
  let mark = '';

  afterEach(async () => {
    child?.kill('SIGKILL');
    if (child !== undefined) for (const pid of marked(mark)) signal(pid, 'SIGKILL');
    child = undefined;
  });

  function start(...options: string[]): ChildProcess {
    mark = randomUUID();
    child = spawn(process.execPath, ['tools/chaos.mjs', ...options], {
      cwd: repository,
      env: { ...process.env, [markSetting]: mark },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return child;
  }

  async function ended(of: ChildProcess): Promise<{ code: number; out: string; said: string }> {
    let [out, said] = ['', ''];
    of.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
    of.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(of, 'close')) as [number];
    return { code, out, said };
  }

  it('of half a minute is right, and tells how long tasks stood still', async () => {
    const run = await ended(start('--minutes', '0.5', '--seed', '3', '--gap', '4', '--json'));
    const report = JSON.parse(run.out) as ChaosReport;
    expect([report.problems, run.code]).toEqual([[], 0]);
    expect(report.topologies.map(({ topology }) => topology)).toEqual(['flights', 'orders']);
    for (const { sent, stages, tables } of report.topologies) {
      expect(sent).toBeGreaterThan(0);
      expect(stages[0]?.read).toBe(sent);
      expect(tables.every(({ found }) => found > 0)).toBe(true);
    }
    expect(Object.keys(report.faults).length).toBeGreaterThan(3);
    expect(report.workerRecovery.times).toBeGreaterThan(0);
    expect(report.redeliveries.delivered).toBeGreaterThan(0);
  });

  it('whose oracles are told of an event that was never sent fails, and says how to replay it', async () => {
    const untrue = ['--faults', 'none', '--untrue-oracle', 'flights,orders'];
    const run = await ended(start('--minutes', '0.05', '--seed', '1', '--json', ...untrue));
    expect(run.code).toBe(1);
    const { isRight, problems } = JSON.parse(run.out) as ChaosReport;
    expect(isRight).toBe(false);
    for (const what of ['flights_clean', 'orders_paid', 'ledger of flights', 'ledger of orders']) {
      expect(problems.filter((problem) => problem.includes(what))).not.toEqual([]);
    }
    expect(run.said).toContain('Replay with: npm run chaos -- --minutes 0.05 --seed 1');
    const [, folder = ''] = /Kept in (\S+):/.exec(run.said) ?? [];
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(['host.log', 'run.log']));
    rmSync(folder, { recursive: true });
  });

  it.each([
    ['while it starts', /^Replay with/],
    ['in the middle', /#\d+ freeze-worker/],
  ])('that is stopped with Ctrl-C %s ends with 130 and leaves no process', async (_when, at) => {
    const run = start('--minutes', '5', '--seed', '1', '--faults', 'freeze-worker,kill-worker');
    if (run.stderr === null) throw new Error('nothing can be read of it');
    for await (const line of createInterface({ input: run.stderr })) {
      if (at.test(line)) break;
    }
    const stopping = ended(run);
    for (const pid of marked(mark)) {
      // As a terminal does: the whole foreground group hears it.
      if (!isDetached(pid)) signal(pid, 'SIGINT');
    }
    const { code, said } = await stopping;
    expect([code, said]).toEqual([130, expect.stringContaining('Stopped; nothing of it runs on.')]);
    await eventually(
      async () => marked(mark),
      (pids) => pids.length === 0,
      30_000,
    );
  });

  it('with options that mean nothing says so', async () => {
    const run = await ended(start('--faults', 'rain'));
    expect(run).toMatchObject({ code: 2, said: expect.stringContaining('no kind is called rain') });
  });
});

/** Processes that carry this mark in their environment. */
function marked(mark: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => readProc(name, 'environ').includes(`${markSetting}=${mark}`))
    .map(Number);
}

/** To one that may have ended by itself. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** True: it leads a group of its own (its group is its pid), which Ctrl-C does not reach. */
function isDetached(pid: number): boolean {
  const [, group] = /\) \S \d+ (\d+)/.exec(readProc(String(pid), 'stat')) ?? [];
  return Number(group) === pid;
}

/** Empty: it has just ended, or is another user's. */
function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ESRCH', 'EACCES'].includes(code ?? '')) return '';
    throw error;
  }
}
