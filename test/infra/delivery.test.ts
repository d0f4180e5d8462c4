// Goal: azd's project, the workflows, the container and the package fit the code they deliver.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ignore from 'ignore';
import { parse, parseAllDocuments } from 'yaml';
import { plan } from '../../shared/planner';
import { topologies } from '../../topologies';
import { settingsSpec } from '../../shared/config/settings';
import {
  appSettings,
  deploy,
  ofType,
  only,
  read,
  readJson,
  repository,
  runJson,
  template,
} from './support/template';

interface Trigger {
  readonly type: string;
  readonly metadata: Readonly<Record<string, string>>;
}

const host = readJson<{
  functionTimeout: string;
  extensions: { eventHubs: { targetUnprocessedEventThreshold: number } };
}>('host.json');
const threshold = String(host.extensions.eventHubs.targetUnprocessedEventThreshold);
const functionTimeoutSeconds = host.functionTimeout
  .split(':')
  .reduce((seconds, part) => seconds * 60 + Number(part), 0);

describe('azure.yaml', () => {
  interface Hook {
    readonly posix: { readonly run: string };
    readonly windows: { readonly run: string };
  }
  const project = parse(read('azure.yaml')) as {
    infra: { provider: string; path: string };
    services: Record<string, Record<string, unknown>>;
    hooks: Record<string, Hook>;
  };

  it('names the service that the template tags', () => {
    const site = only(ofType(deploy(), 'Microsoft.Web/sites'));
    const tags = site['tags'] as Record<string, string>;
    expect(Object.keys(project.services)).toEqual([tags['azd-service-name']]);
  });

  it('points at infrastructure that is there', () => {
    expect(project.infra).toEqual({ provider: 'bicep', path: 'infra' });
    for (const file of ['main.bicep', 'main.parameters.json']) {
      expect(existsSync(join(repository, 'infra', file))).toBe(true);
    }
  });

  it('runs only scripts that exist, the same on every system', () => {
    const { scripts } = readJson<{ scripts: Record<string, string> }>('package.json');
    for (const { posix, windows } of Object.values(project.hooks)) {
      for (const line of [posix.run, windows.run]) {
        for (const [, script] of line.matchAll(/npm run (\S+)/g)) {
          expect(Object.keys(scripts)).toContain(script);
        }
        for (const [, file] of line.matchAll(/node (\S+)/g)) {
          expect(existsSync(join(repository, file ?? ''))).toBe(true);
        }
      }
      const commands = (line: string): string[] => line.match(/(npm|node|az) [\w/. -]+/g) ?? [];
      expect(commands(posix.run).map((one) => one.trim())).toEqual(
        commands(windows.run).map((one) => one.trim()),
      );
    }
  });
});

describe('the package', () => {
  // In a copy: making it empties dist/, which other tests use.
  it('has the entry point, host.json and nothing to install', () => {
    const steps = read('tools/package.mjs');
    for (const needed of ['host.json', 'app.js', 'package.json']) expect(steps).toContain(needed);
    const { main } = readJson<{ main: string }>('package.json');
    expect(main).toBe('dist/functions/app.js');
    const bundle = read(main);
    const outside = Array.from(
      bundle.matchAll(/require\("(@?[a-z][\w./-]*)"\)/g),
      ([, name]) => name,
    );
    const builtin = new Set(process.getBuiltinModule('node:module').builtinModules);
    const packages = new Set(
      outside.filter((name) => !builtin.has(name ?? '') && !name?.startsWith('node:')),
    );
    expect(Array.from(packages)).toEqual(['@azure/functions-core']);
  });

  it('stays small when someone publishes from the root', () => {
    const rules = ignore().add(read('.funcignore'));
    // What other commands leave in dist, be it that none has run here yet.
    const outputs = ['dist/bench/x', 'dist/chaos/x', 'dist/conformance/x', 'dist/simulation/x'];
    const left = [...walk(''), ...outputs].filter((path) => !rules.ignores(path));
    expect(left.filter((path) => !path.startsWith('dist/functions/')).sort()).toEqual([
      'host.json',
      'package.json',
    ]);
    const built = readdirSync(join(repository, 'tools')).flatMap((file) =>
      Array.from(read(`tools/${file}`).matchAll(/\bdist\/([\w-]+)\//g), ([, folder]) => folder),
    );
    const shipped = built.filter((folder) => !rules.ignores(`dist/${folder}/main.js`));
    expect(Array.from(new Set(shipped))).toEqual(['functions']);
    expect(rules.ignores('dist/functions/app.js')).toBe(false);
    expect(rules.ignores('local.settings.json')).toBe(true);
  });

  function walk(folder: string): string[] {
    return readdirSync(join(repository, folder), { withFileTypes: true }).flatMap((entry) => {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (['node_modules', '.git', '.millrace', 'coverage'].includes(path)) return [];
      return entry.isDirectory() ? walk(path) : [path];
    });
  }
});

describe('settings for a laptop', () => {
  it('are written from the outputs, with names that the code reads', () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-settings-'));
    try {
      execFileSync(process.execPath, [join(repository, 'tools/azure.mjs'), 'settings'], {
        cwd: directory,
        env: {
          PATH: process.env['PATH'],
          EVENT_HUBS_NAMESPACE: 'n.servicebus.windows.net',
          LAKE_BLOB_SERVICE_URI: 'https://l.blob.core.windows.net/',
        },
      });
      const { IsEncrypted, Values } = readWritten(join(directory, 'local.settings.azure.json'));
      expect(IsEncrypted).toBe(false);
      const known = Object.values(settingsSpec).map(({ environment }) => environment);
      const others = ['FUNCTIONS_WORKER_RUNTIME'];
      expect(Object.keys(Values).filter((name) => !known.includes(name))).toEqual(others);
      expect(Values['EventHubConnection__fullyQualifiedNamespace']).toBe(
        'n.servicebus.windows.net',
      );
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  const readWritten = (path: string): { IsEncrypted: boolean; Values: Record<string, string> } =>
    runJson(process.execPath, [
      '-p',
      `require('node:fs').readFileSync(${JSON.stringify(path)}, 'utf8')`,
    ]);

  it('need outputs that main.bicep has', () => {
    const outputs = Array.from(
      read('infra/main.bicep').matchAll(/^output (\w+)/gm),
      ([, name]) => name,
    );
    const used = Array.from(
      read('tools/azure.mjs').matchAll(/required\(values, '(\w+)'\)|values\.([A-Z_]+)/g),
      ([, required, plain]) => required ?? plain,
    );
    expect(used.length).toBeGreaterThan(3);
    for (const name of used) expect(outputs).toContain(name);
  });
});

describe('the Deploy-to-Azure button', () => {
  const button = (
    remote: string | null,
  ): { status: number | null; stdout: string; stderr: string } => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-button-'));
    try {
      const git = (...args: string[]): void => void execFileSync('git', args, { cwd: directory });
      git('init', '--quiet');
      if (remote !== null) git('remote', 'add', 'origin', remote);
      const command = [join(repository, 'tools/azure.mjs'), 'button'];
      return spawnSync(process.execPath, command, { cwd: directory, encoding: 'utf8' });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  };

  it.each(['https://github.com/some-one/a.fork', 'git@github.com:some-one/a.fork.git'])(
    'leads to template and form of %s',
    (remote) => {
      const { status, stdout } = button(remote);
      const raw = 'https://raw.githubusercontent.com/some-one/a.fork/main/infra/';
      expect(status).toBe(0);
      expect(stdout).toContain(`/uri/${encodeURIComponent(`${raw}azuredeploy.json`)}/`);
      expect(stdout).toContain(
        `/createUIDefinitionUri/${encodeURIComponent(`${raw}createUiDefinition.json`)})`,
      );
    },
  );

  it('is refused for a clone of something that is not on GitHub', () => {
    expect(button(null)).toMatchObject({ status: 1, stdout: '' });
    expect(button('https://example.org/a.git').stderr).toContain('is not on GitHub');
  });

  describe('of a repository that is named', () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-button-'));
    afterAll(() => rmSync(directory, { recursive: true, force: true }));
    const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
      spawnSync(process.execPath, [join(repository, 'tools/azure.mjs'), ...args], {
        cwd: directory,
        encoding: 'utf8',
      });
    const form = 'infra/createUiDefinition.json';

    it('is written into the README and gives the form the newest release, as often as asked', () => {
      mkdirSync(join(directory, 'infra'));
      for (const path of ['README.md', form]) cpSync(join(repository, path), join(directory, path));
      for (const name of ['one/first', 'some-one/a.fork']) {
        expect(run('button', '--write', '--repository', name).status).toBe(0);
      }
      const { stdout } = run('button', '--repository', 'some-one/a.fork');
      const readme = readFileSync(join(directory, 'README.md'), 'utf8');
      expect(readme).toContain(`<!-- deploy-button -->\n\n${stdout}\n<!-- /deploy-button -->`);
      expect(readme).not.toContain('one%2Ffirst');
      expect(readFileSync(join(directory, form), 'utf8')).toContain(
        '"https://github.com/some-one/a.fork/releases/latest/download/millrace.zip"',
      );
    });

    it('comes with the notes of a release, which name its package', () => {
      const of = ['--repository', 'some-one/a.fork', '--branch', 'v1.2.3'];
      const { stdout } = run('release-notes', ...of);
      expect(stdout).toContain(run('button', ...of).stdout.trim());
      expect(stdout).toContain('some-one%2Fa.fork%2Fv1.2.3%2Finfra%2Fazuredeploy.json');
      expect(stdout).toContain(
        '`https://github.com/some-one/a.fork/releases/download/v1.2.3/millrace.zip`',
      );
    });

    it('is refused for what is no repository, and where there is no place for it', () => {
      expect(run('button', '--repository', 'https://github.com/a/b').stderr).toContain(
        '--repository must be owner/name',
      );
      writeFileSync(join(directory, 'README.md'), '# Another\n');
      expect(run('button', '--write', '--repository', 'a/b')).toMatchObject({
        status: 1,
        stderr: 'README.md has no lines <!-- deploy-button --> any more\n',
      });
    });
  });

  it('is the one that the docs show, but for the name of the repository', () => {
    const { stdout } = button('https://github.com/OWNER/REPO');
    expect(read('docs/DEPLOY.md')).toContain(stdout.trim());
  });
});

describe('Kubernetes and Container Apps', () => {
  const triggersOf = (): Trigger[] => {
    const documents = parseAllDocuments(read('infra/container/keda-scaledobject.yaml'));
    const scaled = documents.map((one) => one.toJS() as Record<string, unknown>);
    const object = scaled.find(({ kind }) => kind === 'ScaledObject');
    return (object?.['spec'] as { triggers: Trigger[] }).triggers;
  };

  it('scale by one rule for each trigger of the plan, with its consumer group', () => {
    const rules = triggersOf().map(({ metadata }) => [
      metadata['eventHubName'],
      metadata['consumerGroup'],
    ]);
    expect(rules).toEqual(
      plan(topologies).stages.map(({ consumerGroup, input }) => [input.hub, consumerGroup]),
    );
  });

  it('read the checkpoints where and how the host writes them, at its own threshold', () => {
    for (const { metadata, type } of triggersOf()) {
      expect(type).toBe('azure-eventhub');
      expect(metadata).toMatchObject({
        checkpointStrategy: 'blobMetadata',
        blobContainer: 'azure-webjobs-eventhub',
        unprocessedEventThreshold: threshold,
      });
      expect(Object.keys(metadata).join(' ')).not.toMatch(/connection/i);
    }
    const bicep = read('infra/container/container-app.bicep');
    expect(bicep).toContain("checkpointStrategy: 'blobMetadata'");
    expect(bicep).toContain('host.extensions.eventHubs.targetUnprocessedEventThreshold');
  });

  it('give a stopping replica the time that a batch may take', () => {
    const [, deployment] = parseAllDocuments(read('infra/container/deployment.yaml')).map(
      (one) =>
        one.toJS() as { spec: { template: { spec: { terminationGracePeriodSeconds: number } } } },
    );
    const grace = deployment?.spec.template.spec.terminationGracePeriodSeconds ?? 0;
    expect(grace).toBeGreaterThan(functionTimeoutSeconds);
    expect(read('infra/container/container-app.bicep')).toContain(
      `terminationGracePeriodSeconds: ${grace}`,
    );
  });

  it('are filled in with outputs of the deployment, and with what docs/DEPLOY.md says to set', () => {
    const [, section = ''] = read('docs/DEPLOY.md').split(/^On Kubernetes/m);
    const main = read('infra/main.bicep');
    const blanks = ['deployment', 'keda-scaledobject'].flatMap((file) =>
      Array.from(read(`infra/container/${file}.yaml`).matchAll(/\$\{(\w+)\}/g), ([, name]) => name),
    );
    expect(blanks.length).toBeGreaterThan(5);
    const unsaid = blanks.filter(
      (name) => !main.includes(`output ${name} `) && !section.includes(`\`${name}\``),
    );
    expect(unsaid).toEqual([]);
  });

  it('are given no setting but those of the template', () => {
    const known = [...Object.keys(appSettings(deploy())), 'AzureFunctionsWebHost__hostid'];
    const [, deployment] = parseAllDocuments(read('infra/container/deployment.yaml')).map(
      (one) =>
        one.toJS() as {
          spec: { template: { spec: { containers: { env: { name: string }[] }[] } } };
        },
    );
    const names = deployment?.spec.template.spec.containers[0]?.env.map(({ name }) => name) ?? [];
    expect(names.length).toBeGreaterThan(2);
    for (const name of names) expect(known).toContain(name);
  });

  it('run the official image with the package in the folder that the host reads', () => {
    const dockerfile = read('Dockerfile');
    expect(dockerfile).toMatch(
      /^FROM mcr\.microsoft\.com\/azure-functions\/node:4-node\$\{NODE\}$/m,
    );
    expect(dockerfile.match(/^ARG NODE=(\d+)$/m)?.[1]).toBe(
      template.parameters?.['nodeVersion']?.defaultValue,
    );
    const root = dockerfile.match(/AzureWebJobsScriptRoot=(\S+)/)?.[1];
    expect(dockerfile).toContain(`COPY --from=build /src/dist/package ${root}`);
  });
});
