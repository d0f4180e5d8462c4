// `npm test`: style, types, layers, then every suite; ends with one line "N passed, N failed".
// `node tools/test.mjs --node <path>` runs the suites under another Node binary.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const nodeFlag = process.argv.indexOf('--node');
const node = nodeFlag === -1 ? process.execPath : process.argv[nodeFlag + 1];
const report = join(tmpdir(), `millrace-jest-${process.pid}.json`);

/** Runs a command, its output going straight through; true when it exits with 0. */
function run(name, command, args) {
  console.log(`\n== ${name}`);
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error) console.error(`${name}: ${error.message}`);
  return status === 0;
}

const bin = (name) => join('node_modules', '.bin', name);
const checks = [
  ['build', node, ['tools/build.mjs']],
  ['format', node, [bin('prettier'), '--check', '--log-level', 'warn', '.']],
  ['lint', node, [bin('eslint'), '--max-warnings', '0', '.']],
  ['types', node, [bin('tsc'), '--noEmit']],
  ['layers', 'npm', ['run', '--silent', 'layers']],
];
const outcomes = checks.map(([name, command, args]) => run(name, command, args));

/** After its report: what still runs then was left open by a test, and would run for ever. */
const jestExitMs = 30_000;

/** Runs jest; true when it exits with 0, or has to be ended after a report without failures. */
async function runJest() {
  console.log('\n== suites');
  const child = spawn(
    node,
    [bin('jest'), '--ci', '--maxWorkers=2', '--json', `--outputFile=${report}`],
    { stdio: 'inherit' },
  );
  let isEnded = false;
  const ended = new Promise((resolve) => child.once('close', (code) => resolve(code)));
  const watching = setInterval(() => {
    if (!existsSync(report) || isEnded) return;
    isEnded = true;
    setTimeout(() => {
      console.error(`jest did not exit ${jestExitMs / 1000} s after its report: ended`);
      child.kill('SIGKILL');
    }, jestExitMs).unref();
  }, 1_000);
  const code = await ended;
  clearInterval(watching);
  return code === 0 || code === null;
}

const jestPassed = await runJest();
let tests = { numPassedTests: 0, numFailedTests: 0, numRuntimeErrorTestSuites: 0 };
try {
  tests = JSON.parse(readFileSync(report, 'utf8'));
  rmSync(report);
} catch (error) {
  console.error(`jest left no report: ${error.message}`);
}

const passed = outcomes.filter(Boolean).length + tests.numPassedTests;
let failed =
  outcomes.filter((ok) => !ok).length + tests.numFailedTests + tests.numRuntimeErrorTestSuites;
if (!jestPassed && failed === 0) failed = 1;
if (tests.numPassedTests === 0 && failed === 0) failed = 1;
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
