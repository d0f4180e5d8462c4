// Builds every process Millrace starts into dist/. The function app is one CommonJS bundle, loaded
// through package.json `main` by Azure, `func start` and our local host alike (docs/adr/0001).
import { build } from 'esbuild';
import { existsSync, rmSync } from 'node:fs';

/** ES modules among our packages ask where they are; in a CommonJS bundle this answers them. */
const importMeta = {
  banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { 'import.meta.url': 'importMetaUrl' },
};

const common = {
  ...importMeta,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
};

/** Processes other than the function app: their packages stay in node_modules. */
const processes = [
  'cli/millrace.ts',
  'cli/replay/main.ts',
  'local/event-hubs/main.ts',
  'local/functions-host/main.ts',
  'local/functions-host/worker.ts',
  'local/storage/main.ts',
].filter((entry) => existsSync(entry));

rmSync('dist', { recursive: true, force: true });
await Promise.all([
  existsSync('functions/app.ts') &&
    build({
      ...common,
      entryPoints: ['functions/app.ts'],
      outdir: 'dist/functions',
      external: ['@azure/functions-core'],
    }),
  build({ ...common, entryPoints: processes, outdir: 'dist', outbase: '.', packages: 'external' }),
]);
