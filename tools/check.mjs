// `npm run check`: what is worth knowing before each commit, in under a minute: format, lint, types,
// layers, unused code, unit and docs tests, side by side. What ESLint and Prettier passed before they skip here;
// `npm test` looks at everything anew.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const bin = (name) => join('node_modules', '.bin', name);
const cache = (name) => ['--cache', '--cache-location', `node_modules/.cache/check-${name}`];
const steps = [
  ['lint', bin('eslint'), ['--max-warnings', '0', ...cache('eslint'), '.']],
  ['unit', bin('jest'), ['--silent', '--maxWorkers=2', '--selectProjects', 'unit', 'docs']],
  ['types', bin('tsc'), ['--noEmit']],
  ['layers', 'npm', ['run', '--silent', 'layers']],
  ['unused', 'npm', ['run', '--silent', 'unused']],
  ['format', bin('prettier'), ['--check', '--log-level', 'warn', ...cache('prettier'), '.']],
];
/** Three side by side keep two cores busy. */
const lanes = 3;

/** Runs one step to its end; its output is shown when it fails. */
function run([name, command, args]) {
  const startedAt = Date.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    child.once('error', (error) => chunks.push(Buffer.from(`${error.message}\n`)));
    child.once('close', (code) => {
      const isRight = code === 0;
      const seconds = ((Date.now() - startedAt) / 1_000).toFixed(0);
      console.log(`${isRight ? 'ok    ' : 'FAILED'}  ${name} (${seconds} s)`);
      if (!isRight) process.stdout.write(Buffer.concat(chunks));
      resolve(isRight);
    });
  });
}

const waiting = steps.values();
const outcomes = [];
const lane = async () => {
  for (const step of waiting) outcomes.push(await run(step));
};
await Promise.all(Array.from({ length: lanes }, lane));
process.exit(outcomes.every(Boolean) ? 0 : 1);
