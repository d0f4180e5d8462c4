// Goal: who may do what is exactly this table; no key opens anything; nothing is public by mistake.
import { deploy, ofType, only, properties } from './support/template';
import type { Deployment } from './support/deploy-template';

const roleNames: Readonly<Record<string, string>> = {
  'a638d3c7-ab3a-418d-83e6-5f17a39d4fde': 'Event Hubs Data Receiver',
  '2b629674-e913-4c01-ae53-ef4638d8f975': 'Event Hubs Data Sender',
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b': 'Storage Blob Data Owner',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe': 'Storage Blob Data Contributor',
  '974c5e8b-45b9-4653-ba55-5f855dd0fb88': 'Storage Queue Data Contributor',
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3': 'Storage Table Data Contributor',
  '0ad04412-c4d5-4796-b79c-f76d14c8d402': 'Durable Task Data Contributor',
  '3913510d-42f4-4e42-8a64-420c390055eb': 'Monitoring Metrics Publisher',
};

const app = 'principal-of-id-abcdefghijklm';
const appRights = [
  [app, 'appi-abcdefghijklm', 'Monitoring Metrics Publisher'],
  [app, 'evhns-abcdefghijklm', 'Event Hubs Data Receiver'],
  [app, 'evhns-abcdefghijklm', 'Event Hubs Data Sender'],
  [app, 'sthostabcdefghijklm', 'Storage Blob Data Owner'],
  [app, 'sthostabcdefghijklm', 'Storage Queue Data Contributor'],
  [app, 'sthostabcdefghijklm', 'Storage Table Data Contributor'],
  [app, 'stlakeabcdefghijklm', 'Storage Blob Data Contributor'],
];
const deployerRights = [
  ['somebody', 'evhns-abcdefghijklm', 'Event Hubs Data Receiver'],
  ['somebody', 'evhns-abcdefghijklm', 'Event Hubs Data Sender'],
  ['somebody', 'stlakeabcdefghijklm', 'Storage Blob Data Contributor'],
];

function rights(deployment: Deployment): string[][] {
  return ofType(deployment, 'Microsoft.Authorization/roleAssignments')
    .map((assignment) => {
      const { principalId, roleDefinitionId } = properties<Record<string, string>>(assignment);
      const role = roleDefinitionId?.split('/').at(-1) ?? '';
      const scope = assignment.scope?.split('/').at(-1) ?? 'the whole group';
      return [principalId ?? '', scope, roleNames[role] ?? role];
    })
    .sort((left, right) => (left.join() < right.join() ? -1 : 1));
}

describe('publishing code', () => {
  it('with a user name and a password is off, for FTP and for SCM', () => {
    for (const packageUri of ['', 'https://example.org/millrace.zip']) {
      const deployment = deploy({ packageUri });
      const site = only(ofType(deployment, 'Microsoft.Web/sites'));
      const policies = ofType(
        deployment,
        'Microsoft.Web/sites/basicPublishingCredentialsPolicies',
      ).map((policy) => [policy.name, properties(policy)]);
      expect(policies).toEqual([
        [`${site.name}/ftp`, { allow: false }],
        [`${site.name}/scm`, { allow: false }],
      ]);
    }
  });
});

describe('role assignments', () => {
  it('are these for the app, and none for anyone else', () => {
    expect(rights(deploy())).toEqual(appRights);
  });

  it('add the scheduler of Durable Functions where there is one', () => {
    const more = [app, 'dts-abcdefghijklm', 'Durable Task Data Contributor'];
    const found = rights(deploy({ durableBackend: 'durableTaskScheduler' }));
    expect(found).toHaveLength(appRights.length + 1);
    expect(found).toEqual(expect.arrayContaining([...appRights, more]));
  });

  it('let a named deployer send events and read the lake, and no more', () => {
    expect(rights(deploy({ principalId: 'somebody' }))).toEqual([...appRights, ...deployerRights]);
  });

  it('say what a pipeline is, so that it is found at once', () => {
    const deployment = deploy({ principalId: 'somebody', principalType: 'ServicePrincipal' });
    const types = ofType(deployment, 'Microsoft.Authorization/roleAssignments').map(
      (assignment) => properties<{ principalType: string }>(assignment).principalType,
    );
    expect(new Set(types)).toEqual(new Set(['ServicePrincipal']));
  });
});

describe('accounts', () => {
  const byName = (deployment: Deployment, start: string): Record<string, unknown> =>
    properties(
      only(
        ofType(deployment, 'Microsoft.Storage/storageAccounts').filter(({ name }) =>
          name.startsWith(start),
        ),
      ),
    );

  it('know no keys', () => {
    for (const account of ofType(deploy(), 'Microsoft.Storage/storageAccounts')) {
      expect(properties(account)).toMatchObject({
        allowSharedKeyAccess: false,
        allowBlobPublicAccess: false,
        minimumTlsVersion: 'TLS1_2',
        supportsHttpsTrafficOnly: true,
      });
    }
    const namespace = only(ofType(deploy(), 'Microsoft.EventHub/namespaces'));
    expect(properties(namespace)).toMatchObject({
      disableLocalAuth: true,
      minimumTlsVersion: '1.2',
    });
    const insights = only(ofType(deploy(), 'Microsoft.Insights/components'));
    expect(properties(insights)).toMatchObject({ DisableLocalAuth: true });
    const workspace = only(ofType(deploy(), 'Microsoft.OperationalInsights/workspaces'));
    expect(properties(workspace)).toMatchObject({ features: { disableLocalAuth: true } });
  });

  it('have a hierarchical namespace for the lake, and none for checkpoints', () => {
    expect(byName(deploy(), 'sthost')).toMatchObject({ isHnsEnabled: false });
    expect(byName(deploy(), 'stlake')).toMatchObject({ isHnsEnabled: true });
  });

  it('keep no versions and no deleted blobs where checkpoints are written', () => {
    const host = ofType(deploy(), 'Microsoft.Storage/storageAccounts/blobServices').filter(
      ({ name }) => name.startsWith('sthost'),
    );
    expect(properties(only(host))).toEqual({
      deleteRetentionPolicy: { enabled: false },
      containerDeleteRetentionPolicy: { enabled: false },
      isVersioningEnabled: false,
    });
  });

  it('let captured files age, and never a commit log or a table', () => {
    expect(ofType(deploy(), 'Microsoft.Storage/storageAccounts/managementPolicies')).toEqual([]);
    const policies = ofType(
      deploy({ captureEnabled: true, captureDeleteAfterDays: 12 }),
      'Microsoft.Storage/storageAccounts/managementPolicies',
    );
    const { policy } = properties<{ policy: { rules: { definition: unknown }[] } }>(only(policies));
    expect(policy.rules.map(({ definition }) => definition)).toEqual([
      {
        filters: { blobTypes: ['blockBlob'], prefixMatch: ['capture/'] },
        actions: {
          baseBlob: {
            tierToCool: { daysAfterModificationGreaterThan: 30 },
            delete: { daysAfterModificationGreaterThan: 12 },
          },
        },
      },
    ]);
  });
});

describe('a private network', () => {
  const deployment = deploy({ vnetEnabled: true });

  it('closes the public doors of Event Hubs and both accounts', () => {
    const closed = [
      ...ofType(deployment, 'Microsoft.EventHub/namespaces'),
      ...ofType(deployment, 'Microsoft.Storage/storageAccounts'),
    ].map((resource) => properties<{ publicNetworkAccess: string }>(resource).publicNetworkAccess);
    expect(closed).toEqual(['Disabled', 'Disabled', 'Disabled']);
  });

  it('has an endpoint with a name for each service the app talks to', () => {
    const endpoints = ofType(deployment, 'Microsoft.Network/privateEndpoints').map((endpoint) => {
      const { privateLinkServiceConnections: connections } = properties<{
        privateLinkServiceConnections: {
          properties: { privateLinkServiceId: string; groupIds: string[] };
        }[];
      }>(endpoint);
      return connections.map(
        ({ properties: { groupIds, privateLinkServiceId } }) =>
          `${privateLinkServiceId.split('/').at(-1)} ${groupIds.join()}`,
      );
    });
    expect(endpoints.flat().sort()).toEqual([
      'evhns-abcdefghijklm namespace',
      'sthostabcdefghijklm blob',
      'sthostabcdefghijklm queue',
      'sthostabcdefghijklm table',
      'stlakeabcdefghijklm blob',
      'stlakeabcdefghijklm dfs',
    ]);
    const zoneOf = ofType(
      deployment,
      'Microsoft.Network/privateEndpoints/privateDnsZoneGroups',
    ).map((group) => JSON.stringify(properties(group)).match(/privatelink\.(\w+)/)?.[1]);
    expect(zoneOf.sort()).toEqual(['blob', 'blob', 'dfs', 'queue', 'servicebus', 'table']);
  });

  it('takes the app in, through a subnet delegated to its plan', () => {
    const site = only(ofType(deployment, 'Microsoft.Web/sites'));
    const { virtualNetworkSubnetId } = properties<{ virtualNetworkSubnetId: string }>(site);
    expect(virtualNetworkSubnetId).toMatch(/virtualNetworks\/vnet-abcdefghijklm\/subnets\/app$/);
    const network = only(ofType(deployment, 'Microsoft.Network/virtualNetworks'));
    expect(JSON.stringify(properties(network))).toContain(
      '"serviceName":"Microsoft.App/environments"',
    );
    expect(
      properties<{ virtualNetworkSubnetId: null }>(only(ofType(deploy(), 'Microsoft.Web/sites')))
        .virtualNetworkSubnetId,
    ).toBeNull();
  });
});
