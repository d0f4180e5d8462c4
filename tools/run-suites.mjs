// Runs jest over all suites, within a bound; what failed runs once more, alone, at the end.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';

/** After its last report: what still runs then was left open by a test, and would run for ever. */
const jestExitMs = 30_000;
const slowestShown = 10;
const reporter = resolve(import.meta.dirname, 'suite-reporter.cjs');

/**
 * Runs every test file that jest finds, then each that failed, or did not end, again by itself. One
 * that passes then is named as flaky and counts as passed; one that fails again counts as failed.
 *
 * @param {object} options
 * @param {string} options.node the Node binary to run under
 * @param {string[]} options.jestArguments such as `--config`
 * @param {number} options.limitMs the bound on everything, in milliseconds; what has not run by then failed
 * @param {(line: string) => void} options.say
 * @returns {Promise<{ passed: number, failed: number, skipped: number }>} tests
 */
export async function runSuites({ jestArguments, limitMs, node, say }) {
  const endsAtMs = Date.now() + limitMs;
  const folder = mkdtempSync(join(tmpdir(), 'millrace-suites-'));
  const runJest = (name, ...more) =>
    runOnce({
      ...{ node, say, args: [...jestArguments, ...more], file: join(folder, name) },
      limitMs: Math.max(0, endsAtMs - Date.now()),
    });
  try {
    const first = await runJest('first', '--maxWorkers=2');
    const files = new Map(first.files);
    const suspects = Array.from(files).filter(([, { failed }]) => failed > 0);
    const flaky = [];
    for (const [index, [path]] of suspects.entries()) {
      if (Date.now() >= endsAtMs) break;
      say(`\n== once more, alone: ${relative('.', path)}`);
      const again = await runJest(`again-${index}`, '--maxWorkers=1', '--runTestsByPath', path);
      const outcome = again.files.get(path);
      if (outcome === undefined) continue;
      if (outcome.failed === 0) flaky.push(path);
      files.set(path, outcome);
    }
    say(slowest(first.files));
    for (const path of flaky) say(`flaky: ${relative('.', path)}`);
    for (const [path, { failed }] of files) if (failed > 0) say(`failed: ${relative('.', path)}`);
    const total = sum(files.values());
    if (!first.isComplete) {
      say(`the suites did not come to their end within ${limitMs / 60_000} minutes`);
      total.failed += 1;
    }
    if (total.passed === 0 && total.failed === 0) total.failed = 1;
    return total;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * One run of jest. It is ended at its bound, and when it does not exit after its last file.
 * @typedef {{ passed: number, failed: number, skipped: number, tookMs: number }} Outcome
 * @returns {Promise<{ isComplete: boolean, files: Map<string, Outcome> }>} by path of test file
 */
async function runOnce({ args, file, limitMs, node, say }) {
  const child = spawn(
    node,
    [
      resolve(import.meta.dirname, '../node_modules/jest/bin/jest.js'),
      ...['--ci', '--reporters=default', `--reporters=${reporter}`, ...args],
    ],
    {
      // A group of its own: a test that loops for ever hears nothing but the end of its group.
      ...{ stdio: 'inherit', detached: true },
      env: { ...process.env, MILLRACE_SUITE_REPORT: file },
    },
  );
  const end = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  };
  const stop = () => {
    end();
    process.exit(130);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const limit = setTimeout(() => {
    say('ended: the tests ran for longer than their bound');
    end();
  }, limitMs);
  let completeAtMs = Infinity;
  const watching = setInterval(() => {
    if (!readReport(file).isComplete) return;
    completeAtMs = Math.min(completeAtMs, Date.now());
    if (Date.now() - completeAtMs < jestExitMs) return;
    say(`jest did not exit ${jestExitMs / 1_000} s after its last test: ended`);
    end();
  }, 1_000);
  await new Promise((done) => child.once('close', done));
  clearTimeout(limit);
  clearInterval(watching);
  process.off('SIGINT', stop).off('SIGTERM', stop);
  return readReport(file);
}

/** What the reporter has written so far. A file that began and did not end is one failure. */
function readReport(file) {
  const files = new Map();
  let isComplete = false;
  // The last line may be under way.
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  for (const line of lines) {
    const { event, path, ...outcome } = JSON.parse(line);
    if (event === 'complete') isComplete = true;
    else if (event === 'started') {
      files.set(path, { passed: 0, failed: 1, skipped: 0, tookMs: 0 });
    } else files.set(path, outcome);
  }
  return { isComplete, files };
}

function sum(outcomes) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { failed, passed, skipped } of outcomes) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
  }
  return total;
}

function slowest(files) {
  const rows = Array.from(files, ([path, { tookMs }]) => ({ path, tookMs }))
    .sort((left, right) => right.tookMs - left.tookMs)
    .slice(0, slowestShown)
    .map(
      ({ path, tookMs }) =>
        `  ${(tookMs / 1_000).toFixed(1).padStart(6)} s  ${relative('.', path)}`,
    );
  return ['\nSlowest test files:', ...rows].join('\n');
}
