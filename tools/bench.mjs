// Builds one benchmark of bench/ with everything that it starts, and runs it: npm run bench:<name>.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { build } from 'esbuild';

const [name, ...rest] = process.argv.slice(2);
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
const names = Object.keys(scripts).flatMap((script) => /^bench:(.+)$/.exec(script)?.[1] ?? []);
if (!names.includes(name)) refuse(`no benchmark is called "${name ?? ''}"`);
// What each takes stands in its main(); the first two are how many, how large or how long in all.
const wrong = rest.find(
  (text, index) => text.startsWith('-') || (index < 2 && !(Number(text) > 0)),
);
if (wrong !== undefined) refuse(`"${wrong}" is not a number above 0`);

const built = spawnSync(process.execPath, ['tools/build.mjs'], { stdio: 'inherit' });
if (built.status !== 0) process.exit(built.status ?? 1);
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

function refuse(why) {
  console.error(
    `${why}\nusage: npm run bench:<${names.join('|')}> [-- numbers, as in docs/PERFORMANCE.md]`,
  );
  process.exit(2);
}
