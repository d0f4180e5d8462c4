/**
 * Azurite in a process of its own that ends with its parent, also with one killed with -9: it looks
 * whether it still has the same parent. Arguments after `--` are Azurite's.
 */
const separator = process.argv.indexOf('--');
const parent = Number(process.argv[2]);
process.argv = [process.argv[0] ?? 'node', 'azurite', ...process.argv.slice(separator + 1)];

// Its words go to the parent. When that is gone, what it has to say at its end must not end it sooner.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

const lookIntervalMs = 250;
/** Azurite writes its index down when it is asked to end; then it has this long. */
const endGraceMs = 3_000;

const looking = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(looking);
  process.kill(process.pid, 'SIGTERM');
  setTimeout(() => process.exit(0), endGraceMs).unref();
}, lookIntervalMs);
looking.unref();

// eslint-disable-next-line @typescript-eslint/no-require-imports -- Azurite starts when it is loaded
require('azurite/dist/src/azurite');
