/** Builds the function app around other topologies: same engine, same registration, other dataflow. */
import { build } from 'esbuild';
import type { BuildIdentity } from '../../shared/model/topology-plan';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const repository = resolve(__dirname, '../..');

export interface BuiltApp {
  readonly directory: string;
  remove(): void;
}

/**
 * Writes an app directory (package.json with `main`, host.json, the bundle) inside the repository's
 * dist/, where the packages that a bundle leaves out can be found.
 */
export async function buildApp(options: {
  /** Module that exports `topologies`, relative to the repository. */
  readonly topologies: string;
  readonly hostJson?: Readonly<Record<string, unknown>>;
  /** Which build it is; absent: code that no build made. */
  readonly build?: BuildIdentity;
}): Promise<BuiltApp> {
  const parent = join(repository, 'dist', 'test-apps');
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(join(parent, 'app-'));
  const bundle = (entryPoint: string, outfile: string): Promise<unknown> =>
    build({
      entryPoints: [join(repository, entryPoint)],
      outfile: join(directory, outfile),
      bundle: true,
      platform: 'node',
      target: 'node20',
      format: 'cjs',
      external: ['@azure/functions-core'],
      banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
      define: {
        'import.meta.url': 'importMetaUrl',
        ...(options.build && { MILLRACE_BUILD: JSON.stringify(buildText(options.build)) }),
      },
      logLevel: 'warning',
      plugins: [
        {
          name: 'other-topologies',
          setup: (pluginBuild) => {
            // Of the entry point alone: the topologies that are given may import those that are shipped.
            pluginBuild.onResolve({ filter: /^(\.\.\/)+topologies$/ }, ({ importer }) =>
              importer === join(repository, entryPoint)
                ? { path: join(repository, options.topologies) }
                : null,
            );
          },
        },
      ],
    });
  await bundle('functions/app.ts', 'app.js');
  // What a person decides with, from the same code.
  if (options.build !== undefined) await bundle('test/support/decide-main.ts', 'decide.js');
  const json = (name: string, value: unknown): void =>
    writeFileSync(join(directory, name), JSON.stringify(value, null, 2));
  json('package.json', { name: 'app-under-test', version: '1.0.0', main: 'app.js' });
  json('host.json', { version: '2.0', ...options.hostJson });
  json('local.settings.json', { IsEncrypted: false, Values: { FUNCTIONS_WORKER_RUNTIME: 'node' } });
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

function buildText({ builtAtMs, id }: BuildIdentity): string {
  return `${new Date(builtAtMs).toISOString()} ${id}`;
}
