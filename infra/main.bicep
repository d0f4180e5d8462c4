// For azd: makes the resource group, then everything in it (resources.bicep).
targetScope = 'subscription'

@description('Name of the azd environment.')
@minLength(1)
@maxLength(64)
param environmentName string
@description('Region.')
@metadata({ azd: { type: 'location' } })
param location string
@description('Object id of who deploys: may send events and read the lake. azd fills it in.')
param principalId string = ''
@description('What the principal is: ServicePrincipal in a pipeline.')
@allowed(['User', 'Group', 'ServicePrincipal'])
param principalType string = 'User'
@description('Event Hubs tier.')
@allowed(['Standard', 'Premium'])
param eventHubsSku string
@description('Throughput units (Standard) or processing units (Premium).')
param eventHubsCapacity int
@description('Standard only: throughput units up to which the namespace inflates.')
param eventHubsMaximumThroughputUnits int
@description('Partitions of every hub; 0: as the planner says.')
param partitionCount int
@description('Hours an event is kept.')
param retentionHours int
@description('Whether Event Hubs Capture keeps source hubs as Avro files.')
param captureEnabled bool
@description('Redundancy of both storage accounts.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GZRS', 'Standard_RAGZRS'])
param storageSku string
@description('Node.js version of the app.')
@allowed(['20', '22', '24'])
param nodeVersion string
@description('Memory of one instance.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int
@description('Instances one trigger may have, at most.')
param maximumInstanceCount int
@description('Instances that are always there, by trigger: "function:flights-flights=1; durable=1".')
param alwaysReady string
@description('Seconds a batch that is not full waits for more events.')
param batchWaitSeconds int
@description('Whether instances are spread over zones.')
param zoneRedundant bool
@description('Where Durable Functions keeps its state.')
@allowed(['azureStorage', 'durableTaskScheduler'])
param durableBackend string
@description('Whether Event Hubs and storage are reached through private endpoints only.')
param vnetEnabled bool
@description('Who is mailed when an alert fires; empty: nobody.')
param alertEmail string = ''
@description('Minutes a partition may be behind before an alert fires.')
param lagAlertMinutes int
@description('Gigabytes of logs a day after which no more are taken.')
param logDailyQuotaGb int
@description('Days until a captured file moves to the cool tier.')
param captureCoolAfterDays int
@description('Days until a captured file is deleted.')
param captureDeleteAfterDays int
@description('Whether to make the Azure Monitor workbook.')
param workbookEnabled bool
@description('Settings of the app to change: "NAME=value; NAME=value".')
param settings string

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: { 'azd-env-name': environmentName }
}

module resources 'resources.bicep' = {
  scope: group
  params: {
    environmentName: environmentName
    location: location
    resourceToken: toLower(uniqueString(subscription().id, environmentName, location))
    principalId: principalId
    principalType: principalType
    eventHubsSku: eventHubsSku
    eventHubsCapacity: eventHubsCapacity
    eventHubsMaximumThroughputUnits: eventHubsMaximumThroughputUnits
    partitionCount: partitionCount
    retentionHours: retentionHours
    captureEnabled: captureEnabled
    storageSku: storageSku
    nodeVersion: nodeVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReady: alwaysReady
    batchWaitSeconds: batchWaitSeconds
    zoneRedundant: zoneRedundant
    durableBackend: durableBackend
    vnetEnabled: vnetEnabled
    alertEmail: alertEmail
    lagAlertMinutes: lagAlertMinutes
    logDailyQuotaGb: logDailyQuotaGb
    captureCoolAfterDays: captureCoolAfterDays
    captureDeleteAfterDays: captureDeleteAfterDays
    workbookEnabled: workbookEnabled
    settings: settings
  }
}

output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_APP_NAME string = resources.outputs.AZURE_FUNCTION_APP_NAME
output AZURE_FUNCTION_APP_HOST string = resources.outputs.AZURE_FUNCTION_APP_HOST
output EVENT_HUBS_NAMESPACE string = resources.outputs.EVENT_HUBS_NAMESPACE
output LAKE_BLOB_SERVICE_URI string = resources.outputs.LAKE_BLOB_SERVICE_URI
output HOST_STORAGE_ACCOUNT string = resources.outputs.HOST_STORAGE_ACCOUNT
output APP_IDENTITY_CLIENT_ID string = resources.outputs.APP_IDENTITY_CLIENT_ID
output PRIVATE_NETWORK_ONLY bool = resources.outputs.PRIVATE_NETWORK_ONLY
