// The `millrace` command in a clone: builds first where nothing is built, or where a source has changed
// since, and says so. What runs is what is written.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { changedSince } from './build-state.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const command = join(root, 'dist/cli/millrace.js');
const changed = existsSync(command) ? changedSince(join(root, 'dist'), root) : null;

if (changed === null || changed.length > 0) {
  const others = changed?.length > 1 ? ` and ${changed.length - 1} more` : '';
  say(
    changed === null
      ? 'Building: nothing is built yet.'
      : `Building anew: ${changed[0]}${others} changed since the last build.`,
  );
  // To stderr: a result may be read from stdout.
  const { status } = spawnSync(process.execPath, [join(root, 'tools/build.mjs')], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) {
    say('The build failed, so nothing was run. Mend what it says above and try again.');
    if (!existsSync(join(root, 'node_modules/esbuild'))) say('Packages are missing: run npm ci.');
    process.exit(2);
  }
}

process.argv[1] = command;
await import(pathToFileURL(command).href);

function say(line) {
  process.stderr.write(`${line}\n`);
}
