import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { testRun } from './tally';

const root = join(__dirname, '..', '..');
const timeoutMs = 30 * 60_000;

/**
 * Declares the test of one half of the seeds: jest runs the halves side by side. Each is a process of
 * its own, as `npm run simulate:engine` begins it: that takes half the time it takes inside of jest.
 */
export function describeSeeds(half: 0 | 1): void {
  const seeds = testRun.seeds / 2;
  const least = testRun.perKindLeast / 2;
  it(
    `every invariant holds in ${seeds} seeds, and every kind of fault strikes in ${least} of them`,
    async () => {
      const args = ['--seed', 1 + half * seeds, '--seeds', seeds, '--least', least];
      const { exitCode, output } = await simulateEngine(args.map(String));
      if (exitCode !== 0) throw new Error(output);
    },
    timeoutMs,
  );
}

function simulateEngine(args: readonly string[]): Promise<{ exitCode: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['tools/simulate-engine.mjs', ...args], { cwd: root });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ exitCode: code ?? 1, output }));
  });
}
