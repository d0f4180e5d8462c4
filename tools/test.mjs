// `npm test`: style, types, layers, then every suite. `npm test -- --help`.
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { runSuites } from './run-suites.mjs';

const usage = `Checks style, types and layers, then runs every suite against the real parts.

  npm test -- [options]

  --node <path>      run the suites under another Node binary
  --minutes <n>      bound on all suites together (default 29); what has not run by then failed
  --suites-only      leave out style, types and layers
  --jest=<argument>  handed to jest; may be repeated, such as --jest=--config=other.json
  --help             this text

A file that failed runs once more, alone, at the end: it is named as flaky when it then passes, and
fails when it fails again. The last line is "N passed, N failed". Exit code: 0 all passed, 1 not, 2
bad options.`;

/** One check that may need to compile the whole tree. */
const checkLimitMs = 5 * 60_000;
const root = resolve(import.meta.dirname, '..');

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        node: { type: 'string', default: process.execPath },
        minutes: { type: 'string', default: '29' },
        'suites-only': { type: 'boolean', default: false },
        jest: { type: 'string', multiple: true, default: [] },
        help: { type: 'boolean', default: false },
      },
    });
    const minutes = Number(values.minutes);
    if (!(minutes > 0 && minutes <= 24 * 60)) {
      throw new Error(`--minutes must be a number from 0 to 1440, not '${values.minutes}'`);
    }
    return { ...values, minutes };
  } catch (error) {
    console.error(error.message);
    process.exit(2);
  }
}

/** Runs a command, its output going straight through; true when it exits with 0. */
function run(name, command, args) {
  console.log(`\n== ${name}`);
  const { error, signal, status } = spawnSync(command, args, {
    ...{ cwd: root, stdio: 'inherit', timeout: checkLimitMs, killSignal: 'SIGKILL' },
  });
  if (error) console.error(`${name}: ${error.message}`);
  else if (signal) console.error(`${name}: ended by ${signal}`);
  return status === 0;
}

function checks(node) {
  const bin = (name) => join('node_modules', '.bin', name);
  return [
    ['build', node, ['tools/build.mjs']],
    ['format', node, [bin('prettier'), '--check', '--log-level', 'warn', '.']],
    ['lint', node, [bin('eslint'), '--max-warnings', '0', '.']],
    ['types', node, [bin('tsc'), '--noEmit']],
    ['layers', 'npm', ['run', '--silent', 'layers']],
  ].map(([name, command, args]) => run(name, command, args));
}

const options = readOptions();
if (options.help) {
  console.log(usage);
  process.exit(0);
}
const outcomes = options['suites-only'] ? [] : checks(options.node);
console.log('\n== suites');
const tests = await runSuites({
  node: options.node,
  jestArguments: options.jest,
  limitMs: options.minutes * 60_000,
  say: (line) => console.log(line),
});
const passed = outcomes.filter(Boolean).length + tests.passed;
const failed = outcomes.filter((ok) => !ok).length + tests.failed;
const skipped = tests.skipped === 0 ? '' : `, ${tests.skipped} skipped`;
console.log(`\n${passed} passed, ${failed} failed${skipped}`);
process.exit(failed === 0 ? 0 : 1);
