// Goal: a build disturbs nobody who runs what was built: `npm run emulators` builds while `func start`
// or another stack runs from the same folder.
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repository } from './support/template';

const folder = mkdtempSync(join(tmpdir(), 'millrace-build-'));
const app = join(folder, 'functions/app.js');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a build and looks at the app all the while; the texts that were seen. */
async function build(): Promise<{ readonly code: number | null; readonly seen: Set<number> }> {
  const child = spawn(process.execPath, ['tools/build.mjs', folder], { cwd: repository });
  const seen = new Set<number>();
  const watching = setInterval(() => seen.add(existsSync(app) ? readFileSync(app).length : -1), 2);
  const code = await new Promise<number | null>((ended) => child.once('close', ended));
  clearInterval(watching);
  return { code, seen };
}

const filesIn = (): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort();

describe('a build', () => {
  it('makes the app and every process, and nothing else', async () => {
    expect((await build()).code).toBe(0);
    expect(filesIn()).toEqual(expect.arrayContaining(['functions/app.js', 'cli/millrace.js']));
  }, 60_000);

  it('touches no file that is right', async () => {
    const before = filesIn().map((name) => [name, statSync(join(folder, name)).ino]);
    expect((await build()).code).toBe(0);
    expect(filesIn().map((name) => [name, statSync(join(folder, name)).ino])).toEqual(before);
  }, 60_000);

  it('replaces one that is not in one step, and takes away what is of no build', async () => {
    const right = readFileSync(app);
    const old = Buffer.from('// an older build');
    writeFileSync(app, old);
    mkdirSync(join(folder, 'package/dist'), { recursive: true });
    writeFileSync(join(folder, 'package/dist/app.js'), 'old');
    const { code, seen } = await build();
    expect(code).toBe(0);
    expect(readFileSync(app).equals(right)).toBe(true);
    for (const length of seen) expect([old.length, right.length]).toContain(length);
    expect(filesIn().filter((name) => name.startsWith('package'))).toEqual([]);
  }, 60_000);
});
