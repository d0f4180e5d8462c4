// Builds one benchmark of bench/ with everything that it starts, and runs it: npm run bench:<name>.
import { spawnSync } from 'node:child_process';
import { build } from 'esbuild';

const [name, ...rest] = process.argv.slice(2);
spawnSync(process.execPath, ['tools/build.mjs'], { stdio: 'inherit' });
await build({
  entryPoints: [`bench/${name}.ts`],
  outdir: 'dist/bench',
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  packages: 'external',
  logLevel: 'warning',
});
const flags = ['--expose-gc', '--max-semi-space-size=32'];
const { status } = spawnSync(process.execPath, [...flags, `dist/bench/${name}.js`, ...rest], {
  stdio: 'inherit',
});
process.exit(status ?? 1);
