/** Azurite in a process of its own that ends with its parent. Arguments after `--` are Azurite's. */
const separator = process.argv.indexOf('--');
const parent = Number(process.argv[2]);
process.argv = [process.argv[0] ?? 'node', 'azurite', ...process.argv.slice(separator + 1)];

setInterval(() => {
  try {
    process.kill(parent, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') process.exit(0);
  }
}, 500).unref();

// eslint-disable-next-line @typescript-eslint/no-require-imports -- Azurite starts when it is loaded
require('azurite/dist/src/azurite');
