#!/usr/bin/env node
/**
 * The `millrace` command. The program, and with it the topologies, is loaded inside: what is wrong with
 * a topology is said with its place, and not with a stack of ours.
 */
import { join, resolve } from 'node:path';
import { changedSince } from '../tools/build-state.mjs';
import { placedText } from './places';

const built = resolve(__dirname, '..');

/** Whoever runs the built file itself is told that it is not what is written. */
function tellOldBuild(): void {
  const changed = changedSince(built, resolve(built, '..'));
  const [first] = changed ?? [];
  if (first === undefined) return;
  process.stderr.write(
    `This build is older than its sources (${first}${changed?.length === 1 ? '' : ` and ${(changed?.length ?? 1) - 1} more`}): run npm run build\n`,
  );
}

tellOldBuild();
import('./program.js')
  .then(({ run }) => run())
  .catch((error: unknown) => {
    process.stderr.write(`${placedText(error, join(built, 'cli'))}\n`);
    process.exit(1);
  });
