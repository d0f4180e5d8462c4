// Goal: a project of one's own gets topology API, function app and test kit from the package, with types;
// and the examples of docs/TESTING-TOPOLOGIES.md and docs/OPERATORS.md hold as they stand there.
// Method: the package as it is published (package.json and dist/library) in a project whose files are the
// examples: type-checked strictly, then run by Node's test runner.
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { transformSync } from 'esbuild';

jest.setTimeout(240_000);

const repository = resolve(__dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'millrace-project-'));
const project = join(folder, 'project');
const installed = join(project, 'node_modules/millrace');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const page = ['docs/TESTING-TOPOLOGIES.md', 'docs/OPERATORS.md']
  .map((name) => readFileSync(join(repository, name), 'utf8'))
  .join('\n');
const examples = Array.from(
  page.matchAll(/^```ts (\S+)\n([\s\S]*?)^```$/gm),
  ([, name = '', text = '']) => ({ name, text }),
);

const run = (...args: readonly string[]): SpawnSyncReturns<string> =>
  spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8', timeout: 180_000 });

beforeAll(() => {
  mkdirSync(installed, { recursive: true });
  // What the package depends on, as an installation beside it has it.
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'));
  cpSync(join(repository, 'package.json'), join(installed, 'package.json'));
  const made = spawnSync(
    process.execPath,
    [join(repository, 'tools/library.mjs'), join(installed, 'dist/library')],
    { encoding: 'utf8', timeout: 180_000 },
  );
  expect(made).toMatchObject({ status: 0, stderr: '', stdout: '' });
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        ...{ target: 'ES2022', module: 'Node20', moduleResolution: 'Node16', strict: true },
        ...{ noUncheckedIndexedAccess: true, noEmit: true, skipLibCheck: true, types: ['node'] },
      },
      include: ['*.ts'],
    }),
  );
  writeFileSync(join(project, 'package.json'), '{ "name": "mine", "private": true }');
  writeFileSync(
    join(project, 'app.ts'),
    `import { app } from '@azure/functions';
import { registerMillrace } from 'millrace/functions';
import { testTopology } from 'millrace/testing';
import { bar, bars } from './bars';

registerMillrace(app, { topologies: [bars] });
export async function typed(): Promise<number> {
  const [row] = await testTopology(bars).table('bars', bar);
  // @ts-expect-error -- the table has no such column
  void row?.price;
  return row?.volume ?? 0;
}
`,
  );
  for (const { name, text } of examples) {
    writeFileSync(join(project, name), text);
    const { code } = transformSync(text, { loader: 'ts', format: 'cjs', target: 'node20' });
    writeFileSync(join(project, name.replace(/\.ts$/, '.js')), code);
  }
});

it('has its types', () => {
  expect(examples.map(({ name }) => name)).toEqual([
    'bars.ts',
    'bars.test.ts',
    'ends.test.ts',
    'faults.test.ts',
    'silence.ts',
    'silence.test.ts',
  ]);
  const { status, stdout } = run(
    join(repository, 'node_modules/typescript/bin/tsc'),
    '--project',
    'tsconfig.json',
  );
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
});

it('passes the tests of the pages', () => {
  const tests = examples
    .filter(({ name }) => name.endsWith('.test.ts'))
    .map(({ name }) => name.replace(/\.ts$/, '.js'));
  const { status, stdout } = run('--test', '--test-reporter=tap', ...tests);
  expect({ status, failed: /^# fail (\d+)/m.exec(stdout)?.[1], stdout }).toMatchObject({
    ...{ status: 0, failed: '0' },
  });
  expect(Number(/^# pass (\d+)/m.exec(stdout)?.[1])).toBeGreaterThanOrEqual(9);
});
