// Mutation proof: plants the known bugs of test/mutants/mutants.json, one at a time, in a copy of the
// tree, and says which test catches each. `npm run mutants -- --help`.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const usage = `Plants each known bug of test/mutants/mutants.json in a copy of the tree and runs the
simulation, then the unit and property tests of the engine, until one fails.

  npm run mutants -- [name ...]     all mutants, or these
  npm run mutants -- --list         names and bugs
  npm run mutants -- --help         this text

Exits with 1 when a mutant survives, 2 when one does not fit the code.
`;

/** Cheapest first: most bugs break an invariant within a few seeds. */
const suites = [
  { name: 'simulation', run: (tree) => runSimulation(tree, { firstSeed: 1, seeds: 150 }) },
  { name: 'tests', run: runTests },
  { name: 'simulation', run: (tree) => runSimulation(tree, { firstSeed: 151, seeds: 850 }) },
];
/** Tests that need nothing but the engine: no processes, no sockets. */
const fastTests =
  'test/(property|unit/(commit-log|exchange|ingest|lake|program|recovery|stage|state|topology))/';
/** A mutant may make the engine run in circles: that, too, is caught. */
const suiteTimeoutMs = 10 * 60_000;

function main() {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
    },
  });
  if (values.help) return print(usage, 0);
  const mutants = choose(
    JSON.parse(readFileSync('test/mutants/mutants.json', 'utf8')),
    positionals,
  );
  if (values.list) return print(mutants.map(({ bug, name }) => `${name}: ${bug}`).join('\n'), 0);
  const tree = copyTree();
  try {
    const healthy = firstFailure(tree, suites.slice(0, 2));
    if (healthy !== null) return print(`The tree fails without a mutant: ${healthy.what}`, 2);
    const outcomes = mutants.map((mutant) => tryMutant(tree, mutant));
    const survived = outcomes.filter(({ caughtBy }) => caughtBy === null);
    console.log(`\n${table(outcomes)}\n`);
    return print(
      `${outcomes.length - survived.length} caught, ${survived.length} survived`,
      survived.length === 0 ? 0 : 1,
    );
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

function print(text, exitCode) {
  console.log(text);
  return exitCode;
}

function choose(mutants, names) {
  if (names.length === 0) return mutants;
  return names.map((name) => {
    const mutant = mutants.find((one) => one.name === name);
    if (mutant === undefined) throw new Error(`no mutant is called ${name}; see --list`);
    return mutant;
  });
}

/** All files that are in git or could be, in a folder of its own; packages are only pointed at. */
function copyTree() {
  const tree = mkdtempSync(join(realpathSync(tmpdir()), 'millrace-mutants-'));
  const listed = spawnSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  for (const file of listed.stdout.split('\0').filter((name) => name !== '')) {
    cpSync(file, join(tree, file), { force: true, recursive: true });
  }
  symlinkSync(realpathSync('node_modules'), join(tree, 'node_modules'));
  return tree;
}

function tryMutant(tree, mutant) {
  const path = join(tree, mutant.file);
  const source = readFileSync(path, 'utf8');
  const pieces = source.split(mutant.find.join('\n'));
  if (pieces.length !== 2) {
    throw new Error(
      `${mutant.name}: its text is ${pieces.length - 1} times in ${mutant.file}, must be once`,
    );
  }
  const startedAtMs = Date.now();
  writeFileSync(path, pieces.join(mutant.replace.join('\n')));
  try {
    const failure = firstFailure(tree, suites);
    const seconds = Math.round((Date.now() - startedAtMs) / 1000);
    const outcome = { name: mutant.name, caughtBy: failure?.what ?? null, seconds };
    console.log(`${outcome.name}: ${outcome.caughtBy ?? 'SURVIVED'} (${seconds} s)`);
    return outcome;
  } finally {
    writeFileSync(path, source);
  }
}

/** The first suite that fails, and what in it did; null: all pass. */
function firstFailure(tree, suitesToRun) {
  for (const { name, run } of suitesToRun) {
    const what = run(tree);
    if (what !== null) return { what: `${name}: ${what}` };
  }
  return null;
}

function runSimulation(tree, { firstSeed, seeds }) {
  const args = ['tools/simulate-engine.mjs', '--bail', '--seed', firstSeed, '--seeds', seeds];
  const { output, status } = runNode(tree, args.map(String));
  if (status === 0) return null;
  return /^seed \d+: .*/m.exec(output)?.[0].slice(0, 110) ?? lastWords(status, output);
}

function runTests(tree) {
  const { output, status } = runNode(tree, [
    'node_modules/jest/bin/jest.js',
    ...['--ci', '--bail', '--maxWorkers=2', '--selectProjects', 'unit', 'property'],
    ...['--testPathPatterns', fastTests],
  ]);
  if (status === 0) return null;
  return /^ *● (.*)$/m.exec(output)?.[1].slice(0, 110) ?? lastWords(status, output);
}

function runNode(tree, args) {
  const { error, status, stderr, stdout } = spawnSync(process.execPath, args, {
    cwd: tree,
    encoding: 'utf8',
    timeout: suiteTimeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: 1 << 28,
  });
  if (error !== undefined && error.code !== 'ETIMEDOUT') throw error;
  return { status, output: `${stdout}\n${stderr}` };
}

function lastWords(status, output) {
  if (status === null) return `did not end within ${suiteTimeoutMs / 1000} s`;
  return output.trim().split('\n').at(-1)?.slice(0, 110) ?? `exit ${status}`;
}

function table(outcomes) {
  const width = Math.max(...outcomes.map(({ name }) => name.length));
  return outcomes
    .map(({ caughtBy, name, seconds }) => {
      return `${name.padEnd(width)}  ${String(seconds).padStart(4)} s  ${caughtBy ?? 'SURVIVED'}`;
    })
    .join('\n');
}

try {
  process.exitCode = main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}
