// `npm run conformance`: builds the runner of test/conformance and runs it with these arguments.
//   --build   builds the app that the runner looks through instead: .millrace/conformance, to be
//             run with `func start` or deployed, and the emulator's hubs for it beside
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const common = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  logLevel: 'warning',
  banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { 'import.meta.url': 'importMetaUrl' },
};

const json = (value) => `${JSON.stringify(value, null, 2)}\n`;

/** Writes the app (with host.json, local.settings.json) and Config.json for the emulator. */
export async function buildApp(directory = '.millrace/conformance') {
  mkdirSync(directory, { recursive: true });
  await build({
    ...common,
    entryPoints: ['test/conformance/app/app.ts'],
    outfile: join(directory, 'app.js'),
    external: ['@azure/functions-core'],
  });
  const names = await namesOf(directory);
  const ours = JSON.parse(readFileSync('host.json', 'utf8'));
  const host = {
    version: '2.0',
    functionTimeout: '00:01:00',
    logging: { logLevel: { default: 'Information' } },
    extensionBundle: ours.extensionBundle,
    extensions: {
      eventHubs: { maxEventBatchSize: 50, prefetchCount: 150, batchCheckpointFrequency: 1 },
      // A task hub of its own: the same account may be that of Millrace.
      durableTask: { hubName: 'conformance' },
    },
  };
  const files = {
    'host.json': host,
    'package.json': {
      name: 'millrace-conformance',
      version: '1.0.0',
      private: true,
      main: 'app.js',
    },
    'local.settings.json': JSON.parse(readFileSync('local.settings.json', 'utf8')),
    'event-hubs.json': {
      UserConfig: {
        NamespaceConfig: [
          {
            Type: 'EventHub',
            Name: 'emulatorNs1',
            Entities: [
              {
                Name: names.hubName,
                PartitionCount: names.partitionCount,
                ConsumerGroups: names.hubFunctionNames.map((name) => ({ Name: name })),
              },
            ],
          },
        ],
        LoggingConfig: { Type: 'File' },
      },
    },
  };
  for (const [name, value] of Object.entries(files))
    writeFileSync(join(directory, name), json(value));
  writeFileSync(
    join(directory, '.funcignore'),
    'local.settings.json\nevent-hubs.json\nnames.mjs\n',
  );
}

async function namesOf(directory) {
  const outfile = join(directory, 'names.mjs');
  await build({ entryPoints: ['test/conformance/app/names.ts'], format: 'esm', outfile });
  return import(pathToFileURL(outfile).href);
}

export async function buildRunner(outfile = 'dist/conformance/run.js') {
  await build({ ...common, entryPoints: ['test/conformance/run.ts'], outfile });
  return outfile;
}

async function main(args) {
  if (args.includes('--build')) {
    await buildApp();
    console.log('.millrace/conformance is written: docs/FUNC-START.md says how to run it');
    return 0;
  }
  const runner = await buildRunner();
  return spawnSync(process.execPath, [runner, ...args], { stdio: 'inherit' }).status ?? 2;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.exit(await main(process.argv.slice(2)));
}
