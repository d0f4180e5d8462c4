// Makes dist/library: the engine as a package for projects of one's own, file by file so that its entry
// points share what they know, with its types beside it. package.json's `exports` names the entry points.
//   node tools/library.mjs [folder]   another than dist/library
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const target = resolve(process.argv[2] ?? join(root, 'dist/library'));
/** `functions/app.ts` is this repository's own app: a project has one of its own. */
const isLibrary = (path) => path.endsWith('.ts') && path !== 'functions/app.ts';

const sources = ['shared', 'functions'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .map((path) => `${folder}/${path.replaceAll('\\', '/')}`)
    .filter(isLibrary),
);
rmSync(target, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: sources,
  outbase: root,
  outdir: target,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  logLevel: 'warning',
});
const { status } = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/typescript/bin/tsc'),
    ...['--project', join(root, 'tools/library.tsconfig.json'), '--outDir', target],
  ],
  { stdio: 'inherit' },
);
process.exit(status ?? 1);
