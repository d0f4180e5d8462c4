// Goal: code that would not replay the same way cannot be committed into an orchestrator.
// Method: the repository's own ESLint reads each offence as if it stood in an orchestrator's file.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

jest.setTimeout(180_000);

const repository = join(__dirname, '../..');
const file = 'shared/operations/jobs/orchestration.ts';

function lint(code: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [join(repository, 'node_modules/eslint/bin/eslint.js'), '--stdin', '--stdin-filename', file],
      { cwd: repository },
    );
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', () => resolve(output));
    child.stdin.end(code);
  });
}

const offences = [
  'export const now = Date.now();',
  'export const today = new Date();',
  'export const chance = Math.random();',
  "export const setting = process.env['X'];",
  'export async function wait(work: Promise<void>): Promise<void> { await work; }',
  'export const later = new Promise<void>((done) => done());',
  'setTimeout(() => undefined, 1);',
  "import { readFileSync } from 'node:fs'; export const read = readFileSync;",
];

describe('an orchestrator', () => {
  it('may not ask clocks, chance, settings, promises or files', async () => {
    const output = await lint(offences.join('\n'));
    const linesWithErrors = new Set(
      Array.from(output.matchAll(/^\s+(\d+):\d+\s+error/gm), ([, line]) => Number(line)),
    );
    expect(Array.from(linesWithErrors).sort((left, right) => left - right)).toEqual(
      offences.map((_, index) => index + 1),
    );
  });
});
