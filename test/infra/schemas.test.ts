// Goal: files that the host, azd, GitHub and KEDA read have names and values that these know.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { deploy, appSettings, read, readJson, repository } from './support/template';
import {
  azureYaml,
  hostJson,
  kedaEventHubMetadata,
  localSettings,
  scaledObject,
  shapeFaults,
  workflow,
  type JsonSchema,
} from './support/schemas';

interface PodSpec {
  readonly containers: readonly {
    readonly env: readonly { readonly name: string; readonly value: string }[];
  }[];
}

const workflows = readdirSync(join(repository, '.github/workflows'));
const scaledObjectOf = (): unknown =>
  parseAllDocuments(read('infra/container/keda-scaledobject.yaml'))
    .map((one) => one.toJS() as { kind: string })
    .find(({ kind }) => kind === 'ScaledObject');

const files: readonly (readonly [string, JsonSchema, unknown])[] = [
  ['host.json', hostJson, readJson('host.json')],
  ['local.settings.json', localSettings, readJson('local.settings.json')],
  ['azure.yaml', azureYaml, parse(read('azure.yaml'))],
  ['keda-scaledobject.yaml', scaledObject, scaledObjectOf()],
  ...workflows.map(
    (file) => [file, workflow, parse(read(`.github/workflows/${file}`)) as unknown] as const,
  ),
];

describe('the shape of', () => {
  it.each(files)('%s is right', (_name, schema, value) => {
    expect(shapeFaults(schema, value)).toEqual([]);
  });

  it('a misspelt or mistaken file is found', () => {
    const host = readJson<{ extensions: { eventHubs: object; durableTask: object } }>('host.json');
    const { durableTask, eventHubs } = host.extensions;
    const misspelt = { ...eventHubs, maxBatchSize: 10 };
    expect(
      shapeFaults(hostJson, { ...host, extensions: { durableTask, eventHubs: misspelt } }).join(),
    ).toContain('maxBatchSize');
    expect(shapeFaults(localSettings, { IsEncrypted: 'false', Values: {} })).not.toEqual([]);
    expect(shapeFaults(localSettings, { IsEncrypted: false, Values: { A: 1 } })).not.toEqual([]);
    const project = parse(read('azure.yaml')) as object;
    expect(shapeFaults(azureYaml, { ...project, hook: {} })).not.toEqual([]);
    const ci = parse(read('.github/workflows/ci.yml')) as { jobs: Record<string, object> };
    const job = { ...ci.jobs['test'], steps: [{ uses: 'a', run: 'b' }] };
    expect(shapeFaults(workflow, { ...ci, jobs: { job } })).not.toEqual([]);
  });
});

describe('Container Apps', () => {
  it('are given rules whose metadata KEDA knows', () => {
    const bicep = read('infra/container/container-app.bicep');
    const [, block = ''] = bicep.match(/metadata: \{\n([\s\S]*?)\n +\}/) ?? [];
    const names = Array.from(block.matchAll(/^ +(\w+):/gm), ([, name]) => name);
    expect(names.sort()).toEqual([...(kedaEventHubMetadata['required'] as string[])].sort());
  });
});

describe('containers', () => {
  // Off App Service the host names itself by its machine: each replica would run the timers and
  // have function keys of its own.
  it('are one host for all replicas, by a name that the host takes whole', () => {
    const name = 'AzureFunctionsWebHost__hostid';
    const deployment = parseAllDocuments(read('infra/container/deployment.yaml'))
      .map((one) => one.toJS() as { kind: string; spec: { template: { spec: PodSpec } } })
      .find(({ kind }) => kind === 'Deployment');
    const [container] = deployment?.spec.template.spec.containers ?? [];
    const id = container?.env.find((one) => one.name === name)?.value;
    expect(id).toMatch(/^[a-z0-9][a-z0-9-]{0,30}[a-z0-9]$/);
    expect(read('infra/container/container-app.bicep')).toMatch(
      /@maxLength\(32\)\nparam name string[\s\S]*AzureFunctionsWebHost__hostid: name\n/,
    );
  });
});

describe('host.json', () => {
  const host = readJson<{
    functionTimeout: string;
    extensions: {
      eventHubs: {
        maxEventBatchSize: number;
        prefetchCount: number;
        targetUnprocessedEventThreshold: number;
        batchCheckpointFrequency: number;
      };
    };
  }>('host.json');
  const { eventHubs } = host.extensions;

  it('has values that fit one another (docs/SCALING.md)', () => {
    expect(eventHubs.prefetchCount).toBeGreaterThanOrEqual(2 * eventHubs.maxEventBatchSize);
    expect(eventHubs.targetUnprocessedEventThreshold).toBeGreaterThanOrEqual(
      eventHubs.maxEventBatchSize,
    );
    // Above 1 an idle hub looks behind and never scales in.
    expect(eventHubs.batchCheckpointFrequency).toBe(1);
  });

  it('is overridden only under names that lead to what it has', () => {
    const overrides = Object.keys(appSettings(deploy())).filter((name) =>
      name.startsWith('AzureFunctionsJobHost__'),
    );
    expect(overrides.length).toBeGreaterThan(2);
    for (const name of overrides) {
      const [, extensions = '', extension = ''] = name.split('__');
      expect([name, extensions]).toEqual([name, 'extensions']);
      expect([name, Object.keys(host.extensions).includes(extension)]).toEqual([name, true]);
    }
  });
});

describe('local.settings.json', () => {
  it('names no place but this machine, and no runtime but Node', () => {
    const { Values } = readJson<{ Values: Record<string, string> }>('local.settings.json');
    expect(Values['FUNCTIONS_WORKER_RUNTIME']).toBe('node');
    for (const [name, value] of Object.entries(Values)) {
      if (name === 'FUNCTIONS_WORKER_RUNTIME') continue;
      expect([name, /UseDevelopment(Storage|Emulator)=true/.test(value)]).toEqual([name, true]);
    }
  });
});
