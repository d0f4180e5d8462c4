// One file of TypeScript with all that it imports of ours, ready for Node.
import { build } from 'esbuild';

/** Bundles `entry` into `outfile`, with a source map beside it. */
export async function bundle(entry, outfile) {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    packages: 'external',
    sourcemap: true,
    logLevel: 'warning',
  });
}
