// Goal: azuredeploy.json is what its sources say, and what it deploys is what the app needs.
// Method: the template is evaluated here (test/infra/support); no Azure, no Bicep CLI.
import { captureContainer } from '../../shared/operations/backfill/capture-file';
import { pathToFileURL } from 'node:url';
import { resolve } from 'node:path';
import { settingsSpec } from '../../shared/config/settings';
import { plan } from '../../shared/planner';
import { topologies } from '../../topologies';
import { declared, type Resource, type Template } from './support/deploy-template';
import {
  appSettings,
  deploy,
  ofType,
  only,
  properties,
  read,
  readJson,
  repository,
  runJson,
  template,
} from './support/template';

const allowedVersions: Readonly<Record<string, string>> = {
  'Microsoft.Authorization/roleAssignments': '2022-04-01',
  'Microsoft.DurableTask/schedulers': '2025-11-01',
  'Microsoft.DurableTask/schedulers/taskHubs': '2025-11-01',
  'Microsoft.EventHub/namespaces': '2024-01-01',
  'Microsoft.EventHub/namespaces/eventhubs': '2024-01-01',
  'Microsoft.EventHub/namespaces/eventhubs/consumergroups': '2024-01-01',
  'Microsoft.Insights/actionGroups': '2023-01-01',
  'Microsoft.Insights/components': '2020-02-02',
  'Microsoft.Insights/metricAlerts': '2018-03-01',
  'Microsoft.Insights/scheduledQueryRules': '2023-12-01',
  'Microsoft.Insights/workbooks': '2023-06-01',
  'Microsoft.ManagedIdentity/userAssignedIdentities': '2024-11-30',
  'Microsoft.Network/privateDnsZones': '2020-06-01',
  'Microsoft.Network/privateDnsZones/virtualNetworkLinks': '2020-06-01',
  'Microsoft.Network/privateEndpoints': '2025-05-01',
  'Microsoft.Network/privateEndpoints/privateDnsZoneGroups': '2025-05-01',
  'Microsoft.Network/virtualNetworks': '2025-05-01',
  'Microsoft.Network/virtualNetworks/subnets': '2025-05-01',
  'Microsoft.OperationalInsights/workspaces': '2025-07-01',
  'Microsoft.Resources/deployments': '2025-04-01',
  'Microsoft.Storage/storageAccounts': '2025-06-01',
  'Microsoft.Storage/storageAccounts/blobServices': '2025-06-01',
  'Microsoft.Storage/storageAccounts/blobServices/containers': '2025-06-01',
  'Microsoft.Storage/storageAccounts/managementPolicies': '2025-06-01',
  'Microsoft.Web/serverfarms': '2025-03-01',
  'Microsoft.Web/sites': '2025-03-01',
  'Microsoft.Web/sites/basicPublishingCredentialsPolicies': '2025-03-01',
  'Microsoft.Web/sites/extensions': '2025-03-01',
};

const everythingOn = {
  vnetEnabled: true,
  captureEnabled: true,
  principalId: 'somebody',
  alertEmail: 'operator@example.org',
  durableBackend: 'durableTaskScheduler',
  packageUri: 'https://example.org/millrace.zip',
};

describe('azuredeploy.json', () => {
  it('was compiled from the sources as they are', () => {
    const tool = pathToFileURL(resolve(repository, 'tools/infra.mjs')).href;
    const lock = runJson(process.execPath, [
      '--input-type=module',
      '--eval',
      `import { lockOf } from ${JSON.stringify(tool)}; console.log(JSON.stringify(lockOf()));`,
    ]);
    expect(readJson('infra/azuredeploy.lock.json')).toEqual(lock);
  });

  it('has generated files that a build would write again: no setting crept in, none is missing', () => {
    const tool = pathToFileURL(resolve(repository, 'tools/infra.mjs')).href;
    const files = runJson<Record<string, string>>(process.execPath, [
      '--input-type=module',
      '--eval',
      `import { generated } from ${JSON.stringify(tool)}; console.log(JSON.stringify(await generated()));`,
    ]);
    for (const [name, text] of Object.entries(files)) {
      expect([name, text]).toEqual([name, read(`infra/generated/${name}`)]);
    }
  });

  it('uses no API version but those that were looked up', () => {
    const found = Array.from(declared(template), ({ resource }) => [
      resource.type,
      resource.apiVersion,
    ]);
    expect(Object.fromEntries(found)).toEqual(allowedVersions);
    for (const [type, version] of found)
      expect([type, version]).toEqual([type, allowedVersions[type ?? '']]);
  });

  it('asks for no key and prints none', () => {
    expect(read('infra/azuredeploy.json')).not.toMatch(/list[A-Z]\w*\(|AccountKey|SharedAccessKey/);
  });

  it('has no circle among the resources of a module', () => {
    const modules = [template, ...innerTemplates(template)];
    for (const module of modules) expect(circleIn(module)).toBeNull();
    expect(modules.length).toBeGreaterThan(9);
  });

  it('can be evaluated whole: nothing names what is not there', () => {
    expect(deploy().resources.length).toBeGreaterThan(25);
    expect(deploy(everythingOn).resources.length).toBeGreaterThan(55);
  });

  it('takes nothing from another environment in the same resource group: alerts, for example', () => {
    const namesOf = (resourceToken: string): string[] =>
      deploy({ ...everythingOn, resourceToken }).resources.map(
        ({ name, scope, type }) => `${type} ${scope ?? ''} ${name}`,
      );
    const first = new Set(namesOf('abcdefghijklm'));
    const shared = namesOf('nopqrstuvwxyz').filter((name) => first.has(name));
    // Private zones are for both: each has a link and records of its own in them.
    expect(shared.filter((name) => !name.startsWith('Microsoft.Network/privateDnsZones '))).toEqual(
      [],
    );
  });

  it('gives names that the services accept', () => {
    for (const account of ofType(deploy(), 'Microsoft.Storage/storageAccounts')) {
      expect(account.name).toMatch(/^[a-z0-9]{3,24}$/);
    }
    expect(only(ofType(deploy(), 'Microsoft.Web/sites')).name.length).toBeLessThanOrEqual(32);
  });
});

describe('hubs and triggers', () => {
  it('come from the planner, and the generated plan is not stale', () => {
    const { hubs, stages } = plan(topologies);
    expect(readJson('infra/generated/plan.json')).toEqual({
      hubs,
      functions: stages.map(({ consumerGroup, functionName, input }) => ({
        name: functionName,
        hub: input.hub,
        consumerGroup,
      })),
    });
  });

  it('have one consumer group for each trigger that the built app registers under these settings', () => {
    const registered = runJson<{ name: string; bindings: Record<string, string>[] }[]>(
      process.execPath,
      ['test/infra/support/print-triggers.cjs'],
      // Nothing but what is deployed: the app must start with it.
      { PATH: process.env['PATH'], ...appSettings(deploy()) },
    );
    const triggers = registered.flatMap(({ bindings }) =>
      bindings
        .filter(({ type }) => type === 'eventHubTrigger')
        .map(({ consumerGroup, eventHubName }) => `${eventHubName}/${consumerGroup}`),
    );
    const groups = ofType(deploy(), 'Microsoft.EventHub/namespaces/eventhubs/consumergroups').map(
      ({ name }) => name.split('/').slice(1).join('/'),
    );
    const forTriggers = groups.filter((group) => !group.endsWith('/millrace-recovery'));
    expect(forTriggers.sort()).toEqual(triggers.sort());
    expect(groups.length - forTriggers.length).toBe(plan(topologies).hubs.length);
    expect(triggers.length).toBeGreaterThan(1);
  });

  it('stay within what Standard allows', () => {
    const { hubs } = plan(topologies);
    expect(hubs.length).toBeLessThanOrEqual(10);
    for (const hub of hubs) expect(hub.consumerGroups.length).toBeLessThanOrEqual(20);
  });

  it('get the partitions asked for, or those of the plan', () => {
    const counts = (partitionCount: number): number[] =>
      ofType(deploy({ partitionCount }), 'Microsoft.EventHub/namespaces/eventhubs').map(
        (hub) => properties<{ partitionCount: number }>(hub).partitionCount,
      );
    expect(new Set(counts(32))).toEqual(new Set([32]));
    expect(counts(0)).toEqual(plan(topologies).hubs.map(({ partitionCount }) => partitionCount));
  });

  it('are captured at their sources only, and only when asked', () => {
    const captured = (captureEnabled: boolean): string[] =>
      ofType(deploy({ captureEnabled }), 'Microsoft.EventHub/namespaces/eventhubs')
        .filter((hub) => 'captureDescription' in properties<object>(hub))
        .map(({ name }) => name.split('/')[1] ?? '');
    const sources = plan(topologies).hubs.filter(({ kind }) => kind === 'source');
    expect(captured(true)).toEqual(sources.map(({ name }) => name));
    const targets = ofType(
      deploy({ captureEnabled: true }),
      'Microsoft.EventHub/namespaces/eventhubs',
    ).flatMap((hub) => {
      const { captureDescription } = properties<{
        captureDescription?: { destination: { properties: { blobContainer: string } } };
      }>(hub);
      return captureDescription === undefined
        ? []
        : [captureDescription.destination.properties.blobContainer];
    });
    // Backfills look for its files there.
    expect(new Set(targets)).toEqual(new Set([captureContainer]));
    expect(captured(false)).toEqual([]);
  });
});

describe('app settings', () => {
  /** Not ours to set: laptop, tests, or the host itself. */
  const notDeployed = [
    'AZURE_FUNCTIONS_ENVIRONMENT',
    'AzureWebJobsStorage',
    'AzureWebJobsStorage__blobServiceUri',
    'EventHubConnection',
    'LakeStorage',
    'MILLRACE_FAULT_POINT',
    'MILLRACE_FAULT_TOKEN',
  ];
  /** Read by the host, its extensions and the identity library. */
  const platform = [
    'APPLICATIONINSIGHTS_AUTHENTICATION_STRING',
    'APPLICATIONINSIGHTS_CONNECTION_STRING',
    'AZURE_CLIENT_ID',
    'AzureFunctionsJobHost__extensions__durableTask__storageProvider__maxQueuePollingInterval',
    'AzureFunctionsJobHost__extensions__eventHubs__maxWaitTime',
    'AzureFunctionsJobHost__extensions__eventHubs__minEventBatchSize',
    'AzureWebJobsStorage__clientId',
    'AzureWebJobsStorage__credential',
    'EventHubConnection__clientId',
    'EventHubConnection__credential',
    'languageWorkers__node__arguments',
  ];
  const ours = Object.values(settingsSpec).map(({ environment }) => environment);

  it('are exactly those that the code and the platform read', () => {
    const expected = [...platform, ...ours.filter((name) => !notDeployed.includes(name))];
    expect(Object.keys(appSettings(deploy())).sort()).toEqual(expected.sort());
  });

  it('have values that the code accepts, and its own defaults', () => {
    const values = appSettings(deploy());
    for (const { environment, parse } of Object.values(settingsSpec)) {
      if (notDeployed.includes(environment) || environment.includes('__')) continue;
      expect([environment, parse(values[environment])]).toEqual([environment, parse(undefined)]);
    }
  });

  it.each([
    [512, 320],
    [2048, 1280],
    [4096, 2560],
  ])('give the heap of a worker its share of an instance of %d MB', (instanceMemoryMB, heapMB) => {
    expect(appSettings(deploy({ instanceMemoryMB }))['languageWorkers__node__arguments']).toBe(
      `--max-old-space-size=${heapMB}`,
    );
  });

  it('name the trigger connection in full: namespace, kind of credential, which identity', () => {
    expect(appSettings(deploy())).toMatchObject({
      EventHubConnection__fullyQualifiedNamespace: 'evhns-abcdefghijklm.servicebus.windows.net',
      EventHubConnection__credential: 'managedidentity',
      EventHubConnection__clientId: 'client-of-id-abcdefghijklm',
      AZURE_CLIENT_ID: 'client-of-id-abcdefghijklm',
      AzureWebJobsStorage__accountName: 'sthostabcdefghijklm',
      LakeStorage__blobServiceUri: 'https://stlakeabcdefghijklm.blob.core.windows.net/',
    });
  });

  it('let a batch wait for more, less long than input may stand still before it is fetched', () => {
    const { extensions } = readJson<{ extensions: { eventHubs: { maxEventBatchSize: number } } }>(
      'host.json',
    );
    const prefix = 'AzureFunctionsJobHost__extensions__eventHubs__';
    const values = appSettings(deploy({ batchWaitSeconds: 10 }));
    expect(values).toMatchObject({
      [`${prefix}maxWaitTime`]: '00:00:10',
      [`${prefix}minEventBatchSize`]: String(extensions.eventHubs.maxEventBatchSize),
    });
    expect(Number(values['MILLRACE_STALL_AFTER_MS'])).toBeGreaterThan(10_000);
    const unset = Object.keys(appSettings(deploy({ batchWaitSeconds: 0 })));
    expect(unset.filter((name) => name.startsWith(prefix))).toEqual([]);
  });

  it('put Durable Functions on the host account, or on a scheduler reached with the identity', () => {
    const prefix = 'AzureFunctionsJobHost__extensions__durableTask__storageProvider__';
    expect(ofType(deploy(), 'Microsoft.DurableTask/schedulers')).toEqual([]);
    const deployment = deploy({ durableBackend: 'durableTaskScheduler' });
    const { hubName } = readJson<{ extensions: { durableTask: { hubName: string } } }>('host.json')
      .extensions.durableTask;
    const values = appSettings(deployment);
    const connection = values[values[`${prefix}connectionStringName`] ?? ''];
    expect(values[`${prefix}type`]).toBe('azureManaged');
    expect(connection).toMatch(
      new RegExp(
        `^Endpoint=https://[^;]+;TaskHub=${hubName};Authentication=ManagedIdentity;ClientID=client-of-id-abcdefghijklm$`,
      ),
    );
    const taskHub = only(ofType(deployment, 'Microsoft.DurableTask/schedulers/taskHubs'));
    expect(taskHub.name).toBe(`dts-abcdefghijklm/${hubName}`);
    // An empty list denies everybody.
    const scheduler = only(ofType(deployment, 'Microsoft.DurableTask/schedulers'));
    expect(properties<{ ipAllowlist: string[] }>(scheduler).ipAllowlist.length).toBeGreaterThan(0);
  });

  it('can be changed by name, each of them', () => {
    for (const name of Object.keys(readJson<object>('infra/generated/settings.json'))) {
      expect(appSettings(deploy({ settings: `${name}=changed` }))[name]).toBe('changed');
    }
    const waits = 'AzureFunctionsJobHost__extensions__eventHubs__maxWaitTime';
    const values = appSettings(
      deploy({ settings: ` MILLRACE_TOPOLOGIES = a,b ;${waits}=00:00:09;` }),
    );
    expect(values).toMatchObject({ MILLRACE_TOPOLOGIES: 'a,b', [waits]: '00:00:09' });
    expect(appSettings(deploy({ settings: 'OWN=a=b' }))['OWN']).toBe('a=b');
    expect(Object.keys(appSettings(deploy({ settings: '' })))).not.toContain('');
  });

  it('are refused when one has no value', () => {
    expect(() => appSettings(deploy({ settings: 'MILLRACE_TOPOLOGIES' }))).toThrow(
      /has no character/,
    );
  });

  it('never change how the app reaches what the template makes', () => {
    const own = 'LakeStorage__blobServiceUri';
    const values = appSettings(deploy({ settings: `${own}=https://elsewhere` }));
    expect(values[own]).toBe(appSettings(deploy())[own]);
  });

  it('name the containers that are made', () => {
    const settings = 'MILLRACE_COMMIT_CONTAINER=logs';
    const names = ofType(
      deploy({ settings }),
      'Microsoft.Storage/storageAccounts/blobServices/containers',
    ).map(({ name }) => name.split('/').at(-1));
    expect(names).toContain('logs');
  });

  it('come with always-ready instances by trigger', () => {
    const groupsOf = (alwaysReady: string): unknown => {
      const site = only(ofType(deploy({ alwaysReady }), 'Microsoft.Web/sites'));
      return properties<{
        functionAppConfig: { scaleAndConcurrency: { alwaysReady: unknown } };
      }>(site).functionAppConfig.scaleAndConcurrency.alwaysReady;
    };
    expect(groupsOf('')).toEqual([]);
    expect(groupsOf('function:flights-flights=2; durable=1')).toEqual([
      { name: 'function:flights-flights', instanceCount: 2 },
      { name: 'durable', instanceCount: 1 },
    ]);
    expect(() => groupsOf('durable=one')).toThrow('not a whole number');
  });

  it('have nothing that Flex Consumption refuses', () => {
    const refused =
      /^(FUNCTIONS_WORKER_RUNTIME|FUNCTIONS_EXTENSION_VERSION|WEBSITE_RUN_FROM_PACKAGE|WEBSITE_CONTENT.*|SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD|WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT|WEBSITE_TIME_ZONE|TZ|WEBSITE_LOAD_CERTIFICATES|AzureWebJobsStorage|WEBSITE_NODE_DEFAULT_VERSION)$/;
    expect(
      Object.keys(appSettings(deploy(everythingOn))).filter((name) => refused.test(name)),
    ).toEqual([]);
    const site = properties<Record<string, object>>(only(ofType(deploy(), 'Microsoft.Web/sites')));
    const ofOtherPlans = /linuxFxVersion|functionAppScaleLimit|minimumElasticInstanceCount/;
    expect(Object.keys(site['siteConfig'] ?? {}).join(' ')).not.toMatch(ofOtherPlans);
  });
});

function innerTemplates(outer: Template): Template[] {
  return Array.from(declared(outer)).flatMap(({ resource }) => {
    const inner = resource.properties?.['template'];
    return inner === undefined ? [] : [inner as unknown as Template];
  });
}

/** A resource that waits for itself, by way of others; null where none does. */
function circleIn(module: Template): string | null {
  const resources = Object.entries(module.resources) as [string, Resource][];
  const waits = new Map(resources.map(([name, one]) => [name, waitsOf(one, resources)]));
  const done = new Set<string>();
  const visit = (name: string, above: readonly string[]): string | null => {
    if (above.includes(name)) return [...above, name].join(' -> ');
    if (done.has(name)) return null;
    for (const next of waits.get(name) ?? []) {
      const circle = visit(next, [...above, name]);
      if (circle !== null) return circle;
    }
    done.add(name);
    return null;
  };
  for (const [name] of resources) {
    const circle = visit(name, []);
    if (circle !== null) return circle;
  }
  return null;
}

/** What a resource waits for: by symbol, or by type where the template has a plain list. */
function waitsOf(resource: Resource, all: readonly [string, Resource][]): string[] {
  const {
    properties: inside,
    dependsOn = [],
    ...rest
  } = resource as unknown as {
    properties?: { template?: unknown };
    dependsOn?: string[];
  };
  const own = { ...inside, template: undefined };
  const references = JSON.stringify([rest, own]).matchAll(/reference\('([\w:]+)'/g);
  const named = [...dependsOn, ...Array.from(references, ([, symbol]) => symbol ?? '')];
  return all
    .filter(([symbol, { type }]) =>
      named.some(
        (text) =>
          text === symbol ||
          text.startsWith(`[format('${symbol}[`) ||
          text.includes(`resourceId('${type}',`),
      ),
    )
    .map(([symbol]) => symbol);
}
