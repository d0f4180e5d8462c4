// Goal: `npm test` says flaky what passes the second time, failed what fails twice, and always ends.
// Method: it runs on a small folder of test files of its own, as a process.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(__dirname, '../..');

describe('npm test', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-test-run-'));
    writeFileSync(
      join(folder, 'jest.config.json'),
      JSON.stringify({ rootDir: folder, testMatch: ['<rootDir>/*.test.js'], transform: {} }),
    );
    writeTest('right', `test('one', () => undefined); test('two', () => undefined);`);
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function writeTest(name: string, text: string): void {
    writeFileSync(join(folder, `${name}.test.js`), text);
  }

  function run(...more: string[]): { code: number | null; lines: string[] } {
    const config = `--jest=--config=${join(folder, 'jest.config.json')}`;
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(root, 'tools/test.mjs'), '--suites-only', config, ...more],
      { cwd: folder, encoding: 'utf8', timeout: 90_000, env: { ...process.env, CI: 'true' } },
    );
    return { code: status, lines: stdout.trimEnd().split('\n') };
  }

  it('names a file that fails once as flaky, and passes', () => {
    writeTest(
      'sometimes',
      `const { existsSync, writeFileSync } = require('node:fs');
       test('fails the first time', () => {
         const isSecond = existsSync(${JSON.stringify(join(folder, 'ran'))});
         writeFileSync(${JSON.stringify(join(folder, 'ran'))}, '');
         expect(isSecond).toBe(true);
       });`,
    );
    const { code, lines } = run();
    expect(lines).toContain('flaky: sometimes.test.js');
    expect([code, lines.at(-1)]).toEqual([0, '3 passed, 0 failed']);
  });

  it('fails with a file that fails twice, or cannot be loaded, and names the slowest', () => {
    writeTest('wrong', `test('never', () => expect(1).toBe(2)); test('always', () => undefined);`);
    writeTest('broken', `throw new Error('not to be loaded');`);
    const { code, lines } = run();
    expect(lines).toEqual(
      expect.arrayContaining(['failed: wrong.test.js', 'failed: broken.test.js']),
    );
    expect(lines.filter((line) => line.startsWith('flaky'))).toEqual([]);
    const title = lines.indexOf('Slowest test files:');
    expect(lines.slice(title + 1, title + 4).sort()).toEqual([
      expect.stringMatching(/ s {2}(broken|right|wrong)\.test\.js$/),
      expect.stringMatching(/ s {2}(broken|right|wrong)\.test\.js$/),
      expect.stringMatching(/ s {2}(broken|right|wrong)\.test\.js$/),
    ]);
    expect([code, lines.at(-1)]).toEqual([1, '3 passed, 2 failed']);
  });

  it('ends a file that loops for ever at the bound of the run, and fails', () => {
    writeTest('endless', `test('never ends', () => { for (;;); });`);
    const { code, lines } = run('--minutes', '0.25');
    expect(lines).toContain('ended: the tests ran for longer than their bound');
    expect(lines).toContain('failed: endless.test.js');
    expect(code).toBe(1);
    expect(lines.at(-1)).toMatch(/^\d passed, 2 failed$/);
  });

  it('without any test fails, and with options that mean nothing says so', () => {
    rmSync(join(folder, 'right.test.js'));
    const { code, lines } = run('--jest=--passWithNoTests');
    expect([code, lines.at(-1)]).toEqual([1, '0 passed, 1 failed']);
    expect(run('--minutes', 'many').code).toBe(2);
  });
});
