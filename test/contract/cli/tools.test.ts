// Goal: a slip of the keyboard at a tool costs nothing: it says so, and touches nothing.
// Method: the tools in processes of their own.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(__dirname, '../../..');

function run(tool: string, ...options: string[]): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [`tools/${tool}.mjs`, ...options], {
    ...{ cwd: root, encoding: 'utf8', timeout: 60_000 },
  });
  return { status, stderr };
}

describe('tools', () => {
  it.each([
    ['bench', [], /^no benchmark is called ""\nusage: npm run bench:<engine\|/],
    ['bench', ['machine'], /^no benchmark is called "machine"/],
    ['bench', ['engine', '--help'], /^"--help" is not a number above 0\nusage/],
    ['bench', ['jobs', 'many'], /^"many" is not a number above 0/],
    ['mutants', ['--nothing'], /^Unknown option '--nothing'/],
  ])('%s %j is refused', (tool, options, message) => {
    const { status, stderr } = run(tool, ...options);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(status).toBe(2);
  });

  it('build deletes nothing in a folder that is not its own', () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-tools-'));
    try {
      writeFileSync(join(directory, 'thesis.txt'), 'years');
      const { status, stderr } = run('build', directory);
      expect(stderr).toContain(`${directory} holds something else than a build`);
      expect(status).toBe(2);
      expect(readdirSync(directory)).toEqual(['thesis.txt']);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
