// The infrastructure's generated files and its compiler.
//   node tools/infra.mjs generate   infra/generated/*.json from the planner and the settings
//   node tools/infra.mjs build      the above, then azuredeploy.json and its lock from the Bicep
//   node tools/infra.mjs bicep ...  the Bicep CLI itself, with these arguments
// The CLI is taken from BICEP_CLI, node_modules/.cache/bicep or, in the right version, the PATH;
// where it is in none of them, `dotnet restore` brings it into the second.
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export const bicepVersion = '0.49.2';
/** Without a network the package manager would try for long. */
const fetchTimeoutMs = 120_000;
const cache = resolve('node_modules/.cache/bicep');
const platforms = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'darwin-x64': 'osx-x64',
  'darwin-arm64': 'osx-arm64',
  'win32-x64': 'win-x64',
};

/** Read on a laptop, in tests, or set by the host itself: the template must not set them. */
const notDeployed = [
  'EventHubConnection',
  'LakeStorage',
  'AzureWebJobsStorage',
  'AzureWebJobsStorage__blobServiceUri',
  'MILLRACE_FAULT_POINT',
  'MILLRACE_FAULT_TOKEN',
  'AZURE_FUNCTIONS_ENVIRONMENT',
];
/** Their values are known to the template alone. */
const fromTemplate = [
  'AzureWebJobsStorage__accountName',
  'EventHubConnection__fullyQualifiedNamespace',
  'LakeStorage__blobServiceUri',
];

function run(command, args, options = {}) {
  const { error, status, stderr, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    ...options,
  });
  if (error) throw new Error(`${command}: ${error.message}`);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${stdout ?? ''}${stderr ?? ''}`);
  return stdout;
}

/**
 * The Bicep CLI, if it is there already. One on the PATH counts only in the very version: another
 * compiles the same sources to other text.
 */
export function findBicep() {
  const inCache = join(cache, packageName(), bicepVersion, 'tools', executable());
  const chosen = [process.env.BICEP_CLI ?? '', inCache].find((path) => path && existsSync(path));
  if (chosen !== undefined) return chosen;
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, executable()))
    .find((path) => existsSync(path) && run(path, ['--version']).includes(bicepVersion));
}

function executable() {
  return process.platform === 'win32' ? 'bicep.exe' : 'bicep';
}

function packageName() {
  const platform = platforms[`${process.platform}-${process.arch}`];
  if (platform === undefined) {
    throw new Error(`no Bicep package for ${process.platform}-${process.arch}: set BICEP_CLI`);
  }
  return `azure.bicep.commandline.${platform}`;
}

/** Brings the CLI from NuGet; throws where the .NET SDK or the way there is missing. */
export function fetchBicep() {
  mkdirSync(cache, { recursive: true });
  const project = join(cache, 'bicep.csproj');
  writeFileSync(
    project,
    `<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><TargetFramework>net8.0</TargetFramework></PropertyGroup><ItemGroup><PackageDownload Include="${packageName()}" Version="[${bicepVersion}]" /></ItemGroup></Project>\n`,
  );
  try {
    run('dotnet', ['restore', project, '--packages', cache], { timeout: fetchTimeoutMs });
  } catch (error) {
    throw new Error(
      `The Bicep CLI is not here and could not be fetched. Install it and set BICEP_CLI to it.\n${error.message}`,
    );
  }
  const found = findBicep();
  if (found === undefined) throw new Error(`the package in ${cache} has no ${executable()}`);
  return found;
}

/** What the Bicep loads: hubs, consumer groups and triggers from the planner, settings from the code. */
export async function generated() {
  const explained = JSON.parse(
    run(process.execPath, ['dist/cli/millrace.js', '--json', 'explain']),
  );
  const plan = {
    hubs: explained.hubs,
    functions: explained.stages.map(({ consumerGroup, functionName, input }) => ({
      name: functionName,
      hub: input.hub,
      consumerGroup,
    })),
  };
  const settings = {};
  const { compileAppSettings, settingsSpec } = await loadSettings();
  const defaults = compileAppSettings({});
  for (const [name, { environment }] of Object.entries(settingsSpec)) {
    if (notDeployed.includes(environment) || fromTemplate.includes(environment)) continue;
    settings[environment] = String(defaults[name] ?? '');
  }
  return { 'plan.json': json(plan), 'settings.json': json(settings) };
}

async function loadSettings() {
  const { build } = await import('esbuild');
  const outfile = join(cache, 'settings.mjs');
  await build({
    entryPoints: ['shared/config/settings.ts'],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile,
  });
  return import(pathToFileURL(outfile).href);
}

const json = (value) => `${JSON.stringify(value, null, 2)}\n`;
const sha256 = (path) =>
  createHash('sha256').update(readFileSync(path, 'utf8').replaceAll('\r\n', '\n')).digest('hex');

/** Every file the template is made of, by path from the repository's root. */
export function templateSources() {
  const modules = readdirSync('infra/modules').map((name) => `infra/modules/${name}`);
  return [
    'host.json',
    'infra/bicepconfig.json',
    'infra/generated/plan.json',
    'infra/generated/settings.json',
    'infra/resources.bicep',
    'infra/workbook.json',
    ...modules,
  ].sort();
}

/** What the lock must say of the files as they are. */
export function lockOf(template = 'infra/azuredeploy.json') {
  const { version } = JSON.parse(readFileSync(template, 'utf8')).metadata._generator;
  return {
    bicepVersion: version,
    sources: Object.fromEntries(templateSources().map((path) => [path, sha256(path)])),
    template: sha256(template),
  };
}

async function generate() {
  mkdirSync('infra/generated', { recursive: true });
  for (const [name, text] of Object.entries(await generated())) {
    writeFileSync(`infra/generated/${name}`, text);
  }
}

async function main([command, ...rest]) {
  if (command === 'generate') {
    await generate();
  } else if (command === 'build') {
    await generate();
    const bicep = findBicep() ?? fetchBicep();
    run(bicep, ['build', 'infra/resources.bicep', '--outfile', 'infra/azuredeploy.json']);
    writeFileSync('infra/azuredeploy.lock.json', json(lockOf()));
    console.log('infra/azuredeploy.json and its lock are written');
  } else if (command === 'bicep') {
    run(findBicep() ?? fetchBicep(), rest, { stdio: 'inherit' });
  } else {
    throw new Error('usage: node tools/infra.mjs generate | build | bicep <arguments>');
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  main(process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
}
