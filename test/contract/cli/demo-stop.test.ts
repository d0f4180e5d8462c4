// Goal: however a demo ends, nothing of it is left running, and it says what ended it.
// Method: the built command in a process of its own, which is sent signals, is killed, or loses its parts.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../support/outcome';

jest.setTimeout(120_000);

const command = join(__dirname, '../../../dist/cli/millrace.js');

interface Part {
  readonly pid: number;
  readonly text: string;
}

describe('demo', () => {
  let directory: string;
  let child: ChildProcess;
  let parts: readonly Part[];
  let said: string;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-demo-stop-'));
    said = '';
    child = spawn(process.execPath, [command, 'demo', '--events', '200000', '--rate', '1000'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, TMPDIR: directory },
    });
    child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    parts = await eventually(
      () => Promise.resolve(partsOf(child.pid)),
      (found) => found.some(({ text }) => text.includes('replay/main.js')),
      60_000,
    );
  });

  afterEach(async () => {
    for (const { pid } of [...parts, { pid: child.pid ?? 0 }]) {
      if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    }
    await eventually(
      () => Promise.resolve(parts.some(({ pid }) => isRunning(pid))),
      (isAny) => !isAny,
      10_000,
    );
    rmSync(directory, { recursive: true, force: true });
  });

  async function endedParts(): Promise<readonly string[]> {
    return eventually(
      () => Promise.resolve(parts.filter(({ pid }) => isRunning(pid)).map(({ text }) => text)),
      (running) => running.length === 0,
      10_000,
    );
  }

  it('asked to stop it ends its replay too, and its folder is gone', async () => {
    child.kill('SIGTERM');
    const [code] = await once(child, 'close');
    const running = parts.filter(({ pid }) => isRunning(pid)).map(({ text }) => text);
    expect(running).toEqual([]);
    expect(said).toContain('nothing is left running');
    expect(code).toBe(130);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('with nobody to speak to it stops in good order', async () => {
    child.stderr?.destroy();
    const [code] = await once(child, 'exit');
    expect(code).toBe(130);
    expect(await endedParts()).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('killed it takes all its processes with it', async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await endedParts()).toEqual([]);
  });

  it.each([
    ['replay/main.js', /the replay failed: ended by SIGKILL/],
    ['event-hubs/main.js', /the Event Hubs emulator has ended \(SIGKILL\)/],
  ])('without its %s it says so and ends', async (name, message) => {
    const part = parts.find(({ text }) => text.includes(name));
    process.kill(part?.pid ?? 0, 'SIGKILL');
    const [code] = await once(child, 'close');
    expect(said).toMatch(message);
    expect(code).toBe(1);
    expect(await endedParts()).toEqual([]);
  });
});

function partsOf(pid: number | undefined): Part[] {
  const lines = execFileSync('ps', ['-A', '-o', 'ppid=,pid=,args='], { encoding: 'utf8' });
  return lines
    .split('\n')
    .map((line) => /^ *(\d+) +(\d+) (.*)$/.exec(line))
    .filter((match) => Number(match?.[1]) === pid)
    .map((match) => ({ pid: Number(match?.[2]), text: match?.[3] ?? '' }));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
