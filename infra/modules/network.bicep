// The app's way out and private endpoints for what it talks to.
@description('Name of the virtual network.')
param name string
@description('Region.')
param location string
@description('Tags of every resource.')
param tags object
@description('Event Hubs namespace.')
param namespaceId string
@description('Account of the Functions host.')
param hostAccountId string
@description('Lake account.')
param lakeAccountId string
@description('Subnet of the app.')
param appSubnetName string

var endpoints = [
  { name: 'event-hubs', targetId: namespaceId, group: 'namespace', zone: 'servicebus' }
  { name: 'host-blob', targetId: hostAccountId, group: 'blob', zone: 'blob' }
  { name: 'host-queue', targetId: hostAccountId, group: 'queue', zone: 'queue' }
  { name: 'host-table', targetId: hostAccountId, group: 'table', zone: 'table' }
  { name: 'lake-blob', targetId: lakeAccountId, group: 'blob', zone: 'blob' }
  { name: 'lake-dfs', targetId: lakeAccountId, group: 'dfs', zone: 'dfs' }
]
var storageSuffix = environment().suffixes.storage
var zoneNames = [
  // The template language has no function for this suffix.
  #disable-next-line no-hardcoded-env-urls
  'privatelink.servicebus.windows.net'
  'privatelink.blob.${storageSuffix}'
  'privatelink.queue.${storageSuffix}'
  'privatelink.table.${storageSuffix}'
  'privatelink.dfs.${storageSuffix}'
]
var zoneOrder = ['servicebus', 'blob', 'queue', 'table', 'dfs']

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.0.0.0/16'] }
    subnets: [
      {
        name: appSubnetName
        properties: {
          addressPrefix: '10.0.0.0/24'
          delegations: [
            {
              name: 'flex-consumption'
              properties: { serviceName: 'Microsoft.App/environments' }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: { addressPrefix: '10.0.1.0/24', privateEndpointNetworkPolicies: 'Disabled' }
      }
    ]
  }

  resource appSubnet 'subnets' existing = { name: appSubnetName }
  resource endpointSubnet 'subnets' existing = { name: 'endpoints' }
}

resource zones 'Microsoft.Network/privateDnsZones@2020-06-01' = [
  for zone in zoneNames: {
    name: zone
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = [
  for (zone, index) in zoneNames: {
    parent: zones[index]
    name: name
    location: 'global'
    properties: { registrationEnabled: false, virtualNetwork: { id: network.id } }
  }
]

module privateEndpoints 'private-endpoint.bicep' = [
  for endpoint in endpoints: {
    params: {
      name: 'pe-${name}-${endpoint.name}'
      location: location
      tags: tags
      subnetId: network::endpointSubnet.id
      targetId: endpoint.targetId
      group: endpoint.group
      zoneId: zones[indexOf(zoneOrder, endpoint.zone)].id
    }
    dependsOn: [links]
  }
]

output appSubnetId string = network::appSubnet.id
