// Goal: the command runs what is written: it builds before the first use and after a change, and says
// of a topology that is not sound where it is wrong, with no stack of ours.
// Method: a copy of the sources in a folder of its own; real builds and real runs.
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

jest.setTimeout(180_000);

const repository = resolve(__dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'millrace-clone-'));
const index = join(folder, 'topologies/index.ts');

beforeAll(() => {
  const parts = ['cli', 'functions', 'local', 'shared', 'topologies', 'tools'];
  for (const part of [
    ...parts,
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'host.json',
  ]) {
    cpSync(join(repository, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(file: string, ...args: readonly string[]): Ran {
  return spawnSync(process.execPath, [file, ...args], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 120_000,
  });
}
/** As `npm run millrace --` does. */
const millrace = (...args: readonly string[]): Ran => run('tools/millrace.mjs', ...args);
const stackLine = /^\s+at /m;

/** The app's topologies, with one more. */
function addTopology(text: string): void {
  writeFileSync(join(folder, 'topologies/orders.ts'), text);
  writeFileSync(
    index,
    `import { flights } from './flights';\nimport { orders } from './orders';\nexport const topologies = [flights, orders];\n`,
  );
}

it('is what `npm run millrace` runs', () => {
  const { scripts } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  expect(scripts['millrace']).toBe('node tools/millrace.mjs');
});

it('helps before anything is built, and builds once', () => {
  const first = millrace('--help');
  expect(first).toMatchObject({ status: 0, stderr: 'Building: nothing is built yet.\n' });
  expect(first.stdout).toContain('Usage: millrace');
  const second = millrace('--help');
  expect(second).toMatchObject({ status: 0, stderr: '', stdout: first.stdout });
});

it('never runs an old build silently', () => {
  appendFileSync(index, '\n// changed\n');
  const direct = run('dist/cli/millrace.js', '--help');
  expect(direct).toMatchObject({
    status: 0,
    stderr: 'This build is older than its sources (topologies/index.ts): run npm run build\n',
  });
  const rebuilt = millrace('explain', '--json');
  expect(rebuilt).toMatchObject({
    status: 0,
    stderr: 'Building anew: topologies/index.ts changed since the last build.\n',
  });
  expect(JSON.parse(rebuilt.stdout)).toHaveProperty('stages');
  expect(run('dist/cli/millrace.js', '--help').stderr).toBe('');
});

it('says where a source cannot be read, and runs nothing', () => {
  addTopology('export const orders = ;\n');
  const { status, stderr, stdout } = millrace('explain');
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toContain('topologies/orders.ts:1:22:');
  expect(stderr).toContain('The build failed, so nothing was run.');
  expect(stderr.split('Unexpected ";"')).toHaveLength(2);
  expect(stderr).not.toMatch(stackLine);
});

const head = `import { Type } from 'typebox';
import { count, hours, Timestamp, topology, tumbling } from '../shared/dataflow';
const order = Type.Object({ id: Type.Integer(), time: Timestamp() });
export const shown = [count, hours, tumbling, Type];
`;

describe('a topology that is not sound', () => {
  it.each<[string, string, readonly string[]]>([
    [
      'whose parts do not fit',
      `${head}export const orders = topology('orders', (t) => {
  t.source('orders', { schema: order, eventTime: (event) => event.time })
    .keyBy((event) => String(event.id), { name: 'id' })
    .window(tumbling(hours(0)), { name: 'windows' })
    .aggregate({ orders: count() });
});
`,
      [
        'topologies/orders.ts:9:6: nothing takes what window windows gives out: end it with toLake',
        'topologies/orders.ts:9:6: window windows: its size must be a whole number of milliseconds from 1 to 100000000000000, it is 0',
      ],
    ],
    [
      'that collides with another',
      `${head}export const orders = topology('orders', (t) => {
  t.source('orders', { schema: order, eventTime: (event) => event.time }).toLake('flights_clean', {
    schema: order,
  });
});
`,
      ['topologies/orders.ts:6:75: two tables are called flights_clean: give one another name'],
    ],
    [
      'whose definition throws',
      `${head}const given = JSON.parse('{}') as { event: { schema: never } };
export const orders = topology('orders', (t) => {
  t.source('orders', { schema: given.event.schema, eventTime: () => 0 });
});
`,
      [
        "topologies/orders.ts:7:44: TypeError: Cannot read properties of undefined (reading 'schema')",
      ],
    ],
  ])('%s is told with file and line by every command', (_what, text, lines) => {
    addTopology(text);
    // The first builds; what it says of that is not what is looked at here.
    millrace('explain');
    const data = join(folder, 'data');
    for (const command of [['ledger'], ['drain', 'flights'], ['start', '--data', data]]) {
      const { status, stderr, stdout } = millrace(...command);
      expect({ command, status, stdout }).toEqual({ command, status: 1, stdout: '' });
      for (const line of lines) expect(stderr.split('\n')).toContain(line);
      expect(stderr).not.toMatch(stackLine);
    }
    expect(existsSync(data)).toBe(false);
  });
});
