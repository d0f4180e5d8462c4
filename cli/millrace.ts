#!/usr/bin/env node
/**
 * The `millrace` command. The program, and with it the topologies, is loaded inside: what is wrong with
 * a topology is said with its place, and not with a stack of ours. Here alone the app's topologies are
 * imported, and here alone it is known where the build lies.
 */
import { resolve } from 'node:path';
import { changedSince } from '../tools/build-state.mjs';
import { placedText } from './places';

/** This file runs as `<built>/cli/millrace.js`. */
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

async function main(): Promise<void> {
  const { topologies } = await import('../topologies/index.js');
  const { appIn } = await import('./app.js');
  const { run } = await import('./program.js');
  await run(appIn(built, topologies));
}

tellOldBuild();
main().catch((error: unknown) => {
  process.stderr.write(`${placedText(error, resolve(built, '..'))}\n`);
  process.exit(1);
});
