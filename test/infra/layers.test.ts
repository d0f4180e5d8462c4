// Goal: an import against the directions of docs/ARCHITECTURE.md fails `npm run layers`.
// Method: a small tree with a violation of each kind planted in it, judged by the real rules.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';

const repository = resolve(__dirname, '../..');
const tree = mkdtempSync(join(tmpdir(), 'millrace-layers-'));
afterAll(() => rmSync(tree, { recursive: true, force: true }));

/** From, to, and the rule that refuses it; null: it is as it should be. */
const imports: readonly (readonly [from: string, to: string, rule: string | null])[] = [
  ['shared/model/a.ts', 'shared/state/b.ts', 'room-model'],
  ['shared/lake/a.ts', 'shared/commit-log/b.ts', 'room-lake'],
  ['shared/commit-log/a.ts', 'shared/task/b.ts', 'room-commit-log'],
  ['shared/operators/a.ts', 'shared/dataflow/b.ts', 'room-operators'],
  ['shared/dataflow/a.ts', 'shared/execution/b.ts', 'room-dataflow'],
  ['shared/planner/a.ts', 'shared/task/b.ts', 'room-planner'],
  ['shared/execution/a.ts', 'shared/task/b.ts', 'room-execution'],
  ['shared/delivery/exchange/a.ts', 'shared/task/b.ts', 'room-delivery'],
  ['shared/task/a.ts', 'shared/supervision/b.ts', 'room-task'],
  ['shared/supervision/a.ts', 'shared/operations/b.ts', 'room-supervision'],
  ['shared/operations/a.ts', 'shared/world/b.ts', 'room-operations'],
  ['shared/task/c.ts', 'shared/adapters/b.ts', 'room-task'],
  ['shared/adapters/a.ts', 'shared/lake/b.ts', 'adapters-know-model-only'],
  ['shared/unheard-of/a.ts', 'shared/model/b.ts', 'rooms-are-known'],
  ['shared/world/a.ts', 'functions/b.ts', 'shared-stands-alone'],
  ['functions/a.ts', 'topologies/b.ts', 'topologies-are-given'],
  ['cli/a.ts', 'topologies/b.ts', 'topologies-are-given'],
  ['topologies/a.ts', 'cli/b.ts', 'topologies-use-shared'],
  ['local/scaler/a.ts', 'shared/model/b.ts', 'local-is-a-stand-in'],
  ['local/durable-task/a.ts', 'local/functions-host/b.ts', 'durable-task-is-below-the-host'],
  ['local/settings/a.ts', 'local/functions-host/b.ts', 'local-leaves'],
  ['local/event-hubs/log/a.ts', 'local/event-hubs/amqp/b.ts', 'hub-log-knows-no-protocol'],
  ['local/event-hubs/log/c.ts', 'local/event-hubs/kafka/b.ts', 'hub-log-knows-no-protocol'],
  ['local/event-hubs/message/a.ts', 'local/event-hubs/log/b.ts', 'hub-message-stands-alone'],
  ['local/event-hubs/amqp/a.ts', 'local/storage/b.ts', 'hub-emulator-stands-alone'],
  ['shared/task/d.ts', 'shared/lake/b.ts', null],
  ['shared/world/c.ts', 'shared/adapters/b.ts', null],
  ['shared/testing/a.ts', 'shared/operations/b.ts', null],
  ['cli/millrace.ts', 'topologies/b.ts', null],
  ['functions/app.ts', 'topologies/b.ts', null],
  ['local/functions-host/a.ts', 'local/durable-task/b.ts', null],
  ['local/event-hubs/log/d.ts', 'local/event-hubs/errors.ts', null],
];

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string };
}

it('refuses a planted violation of each kind, and nothing else', () => {
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  };
  for (const [, to] of imports) write(to, 'export const value = 1;\n');
  for (const [from, to] of imports) {
    const path = relative(dirname(from), to.replace(/\.ts$/, ''));
    write(from, `export { value } from '${path.startsWith('.') ? path : `./${path}`}';\n`);
  }
  // A circle of two files.
  write('shared/telemetry/x.ts', "export { y } from './y';\nexport const x = 1;\n");
  write('shared/telemetry/y.ts', "import { x } from './x';\nexport const y = x;\n");
  write('tsconfig.json', '{}');
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      join(repository, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'),
      ...['--config', join(repository, '.dependency-cruiser.cjs'), '--output-type', 'json'],
      ...['shared', 'functions', 'topologies', 'local', 'cli'],
    ],
    { cwd: tree, encoding: 'utf8', timeout: 60_000 },
  );
  expect(status).not.toBe(null);
  const { summary } = JSON.parse(stdout) as {
    summary: { violations: readonly Violation[]; error: number };
  };
  const found = summary.violations.map(({ from, rule, to }) => `${rule.name}: ${from} → ${to}`);
  const planted = imports.flatMap(([from, to, rule]) =>
    rule === null ? [] : [`${rule}: ${from} → ${to}`],
  );
  expect(found).toEqual(expect.arrayContaining(planted));
  for (const [from, , rule] of imports) {
    if (rule === null) expect(found.filter((one) => one.includes(` ${from} `))).toEqual([]);
  }
  expect(found.filter((one) => one.startsWith('no-cycles'))).not.toEqual([]);
  expect(summary.error).toBeGreaterThanOrEqual(planted.length);
});
