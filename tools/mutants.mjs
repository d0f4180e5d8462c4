// Mutation proof: plants the known bugs of test/mutants/*.json, one at a time, in a copy of the tree,
// and says which test catches each. `npm run mutants -- --help`.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const usage = `Plants each known bug of test/mutants/*.json in a copy of the tree. Then the tests that it names
run, or the simulation and the unit and property tests of the engine, and at last every other suite,
until something fails.

  npm run mutants -- [name ...]     all mutants, or these
  npm run mutants -- --area <file>  those of test/mutants/<file>.json
  npm run mutants -- --fast         without the suites of real processes where a bug names no tests
  npm run mutants -- --list         names and bugs
  npm run mutants -- --help         this text

Exits with 1 when a mutant survives, 2 when one does not fit the code.
`;

/** Tests that need nothing but the engine: no processes, no sockets. */
const engineTests = 'test/(property|unit)/';
/** Tests with sockets, storage and processes: minutes, so only for what nothing else has caught. */
const processTests = 'test/(contract|oracle|fault|docs|infra)/';
/** A mutant may make the engine run in circles: that, too, is caught. */
const suiteTimeoutMs = 10 * 60_000;
const processTimeoutMs = 40 * 60_000;

/** What may catch a bug, cheapest first: most bugs of the engine break an invariant within a few seeds. */
function suitesFor(mutant, isFast) {
  const named =
    mutant.tests === undefined
      ? []
      : [tests('named tests', mutant.tests.join('|'), suiteTimeoutMs)];
  const engine = [
    simulation({ firstSeed: 1, seeds: 150 }),
    tests('tests', engineTests, suiteTimeoutMs),
    simulation({ firstSeed: 151, seeds: 850 }),
  ];
  // The stand-ins for Azure do not run in the simulation.
  const fast = mutant.file.startsWith('shared/') ? engine : [engine[1]];
  const processes = tests('process tests', processTests, processTimeoutMs);
  return [...named, ...fast, ...(isFast || mutant.tests !== undefined ? [] : [processes])];
}

const simulation = (seeds) => ({ name: 'simulation', run: (tree) => runSimulation(tree, seeds) });
const tests = (name, pattern, timeoutMs) => ({
  name,
  run: (tree) => runTests(tree, pattern, timeoutMs),
});

function main() {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      area: { type: 'string' },
      fast: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
    },
  });
  if (values.help) return print(usage, 0);
  const mutants = choose(readMutants(values.area), positionals);
  if (values.list) return print(mutants.map(({ bug, name }) => `${name}: ${bug}`).join('\n'), 0);
  const tree = copyTree();
  try {
    const healthy = firstFailure(tree, healthSuites(mutants));
    if (healthy !== null) return print(`The tree fails without a mutant: ${healthy.what}`, 2);
    const outcomes = mutants.map((mutant) => tryMutant(tree, mutant, values.fast));
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

/** Those of every area, or of one. */
function readMutants(area) {
  const files = readdirSync('test/mutants').filter((name) => name.endsWith('.json'));
  const chosen = area === undefined ? files : files.filter((name) => name === `${area}.json`);
  if (chosen.length === 0) throw new Error(`no area is called ${area}: ${files.join(', ')}`);
  return chosen.flatMap((name) => JSON.parse(readFileSync(join('test/mutants', name), 'utf8')));
}

/** What catches a bug must pass without it: the tests that the bugs name, the engine's own for others. */
function healthSuites(mutants) {
  const named = new Set(mutants.flatMap((mutant) => mutant.tests ?? []));
  const isEngine = mutants.some((mutant) => mutant.tests === undefined);
  return [
    ...(isEngine ? suitesFor({ file: 'shared/' }, true).slice(0, 2) : []),
    ...(named.size === 0 ? [] : [tests('named tests', [...named].join('|'), processTimeoutMs)]),
  ];
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

function tryMutant(tree, mutant, isFast) {
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
    const failure = firstFailure(tree, suitesFor(mutant, isFast));
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

/** Null: all pass. Processes run what is built, so that the bug is built in too. */
function runTests(tree, pattern, timeoutMs) {
  if (!/^test\/\(property/.test(pattern)) {
    const build = runNode(tree, ['tools/build.mjs']);
    if (build.status !== 0) return `build: ${lastWords(build.status, build.output)}`;
  }
  const { output, status } = runNode(
    tree,
    [
      'node_modules/jest/bin/jest.js',
      ...['--ci', '--bail', '--maxWorkers=2', '--testPathPatterns', pattern],
    ],
    timeoutMs,
  );
  if (status === 0) return null;
  return /^ *● (.*)$/m.exec(output)?.[1].slice(0, 110) ?? lastWords(status, output);
}

function runNode(tree, args, timeoutMs = suiteTimeoutMs) {
  const { error, status, stderr, stdout } = spawnSync(process.execPath, args, {
    cwd: tree,
    encoding: 'utf8',
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: 1 << 28,
  });
  if (error !== undefined && error.code !== 'ETIMEDOUT') throw error;
  return { status, output: `${stdout}\n${stderr}` };
}

function lastWords(status, output) {
  if (status === null) return 'did not end in time';
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
