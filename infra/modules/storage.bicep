// Two accounts: the host's own (checkpoints, leases, keys, package) and the lake (commit logs and
// tables). Neither knows shared keys.
@description('Name of the account of the Functions host.')
param hostAccountName string
@description('Name of the lake account.')
param lakeAccountName string
@description('Region.')
param location string
@description('Tags of every resource.')
param tags object
@description('Redundancy of both accounts.')
param skuName string
@description('Container of the app package.')
param packageContainer string
@description('Containers of the lake account: commit logs, tables.')
param lakeContainers string[]
@description('Container of Event Hubs Capture; empty: none.')
param captureContainer string
@description('Days until a captured file moves to the cool tier.')
param captureCoolAfterDays int
@description('Days until a captured file is deleted.')
param captureDeleteAfterDays int
@description('Enabled, or Disabled behind private endpoints.')
param publicNetworkAccess string

var common = {
  accessTier: 'Hot'
  allowBlobPublicAccess: false
  allowCrossTenantReplication: false
  allowSharedKeyAccess: false
  defaultToOAuthAuthentication: true
  minimumTlsVersion: 'TLS1_2'
  publicNetworkAccess: publicNetworkAccess
  supportsHttpsTrafficOnly: true
  networkAcls: {
    bypass: 'AzureServices'
    defaultAction: publicNetworkAccess == 'Enabled' ? 'Allow' : 'Deny'
  }
}

// The checkpoint store needs a flat namespace without versions and without soft delete: every
// checkpoint would leave a copy behind.
resource hostAccount 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: hostAccountName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: skuName }
  properties: { ...common, isHnsEnabled: false }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      deleteRetentionPolicy: { enabled: false }
      containerDeleteRetentionPolicy: { enabled: false }
      isVersioningEnabled: false
    }

    resource package 'containers' = {
      name: packageContainer
      properties: { publicAccess: 'None' }
    }
  }
}

resource lakeAccount 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: lakeAccountName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: skuName }
  properties: { ...common, isHnsEnabled: true }

  // No soft delete: append blobs are deleted a generation at a time, and nothing reads them again.
  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      deleteRetentionPolicy: { enabled: false }
      containerDeleteRetentionPolicy: { enabled: true, days: 7 }
    }

    resource containers 'containers' = [
      for name in concat(lakeContainers, empty(captureContainer) ? [] : [captureContainer]): {
        name: name
        properties: { publicAccess: 'None' }
      }
    ]
  }

  // Captured files alone: a table's files belong to its log, and a commit log to the engine.
  resource lifecycle 'managementPolicies' = if (!empty(captureContainer)) {
    name: 'default'
    dependsOn: [blobs]
    properties: {
      policy: {
        rules: [
          {
            name: 'captured-files'
            enabled: true
            type: 'Lifecycle'
            definition: {
              filters: { blobTypes: ['blockBlob'], prefixMatch: ['${captureContainer}/'] }
              actions: {
                baseBlob: {
                  tierToCool: { daysAfterModificationGreaterThan: captureCoolAfterDays }
                  delete: { daysAfterModificationGreaterThan: captureDeleteAfterDays }
                }
              }
            }
          }
        ]
      }
    }
  }
}

output hostAccountId string = hostAccount.id
output hostAccountName string = hostAccount.name
output hostBlobEndpoint string = hostAccount.properties.primaryEndpoints.blob
output lakeAccountId string = lakeAccount.id
output lakeAccountName string = lakeAccount.name
output lakeBlobEndpoint string = lakeAccount.properties.primaryEndpoints.blob
