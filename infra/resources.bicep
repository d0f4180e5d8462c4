// Everything in one resource group. main.bicep calls it for azd; compiled, it is the template of the
// Deploy-to-Azure button (azuredeploy.json, npm run infra:build).
@description('Name of the environment: it goes into tags and, hashed, into names.')
@minLength(1)
@maxLength(64)
param environmentName string = 'millrace'
@description('Region.')
@metadata({ azd: { type: 'location' } })
param location string = resourceGroup().location
@description('Ends every name that must be unique in the world.')
param resourceToken string = toLower(uniqueString(resourceGroup().id, environmentName))
@description('Object id of a person or pipeline that may send events and read the lake; empty: nobody.')
param principalId string = ''
@description('What the principal is.')
@allowed(['User', 'Group', 'ServicePrincipal'])
param principalType string = 'User'
@description('Event Hubs tier. Premium has no throughput units and lets partitions be added.')
@allowed(['Standard', 'Premium'])
param eventHubsSku string = 'Standard'
@description('Throughput units (Standard: 1 MB/s or 1,000 events/s in, 2 MB/s out, each) or processing units (Premium).')
@minValue(1)
@maxValue(40)
param eventHubsCapacity int = 1
@description('Standard only: throughput units up to which the namespace inflates by itself. It never deflates.')
@minValue(1)
@maxValue(40)
param eventHubsMaximumThroughputUnits int = 4
@description('Partitions of every hub: the ceiling of parallelism, for life on Standard. 0: as the planner says.')
@minValue(0)
@maxValue(100)
param partitionCount int = 8
@description('Hours an event is kept: how long the app may stand still without loss. Standard: up to 168.')
@minValue(1)
@maxValue(2160)
param retentionHours int = 168
@description('Whether Event Hubs Capture keeps source hubs as Avro files. It is charged per throughput unit.')
param captureEnabled bool = false
@description('Days until a captured file moves to the cool tier.')
@minValue(1)
param captureCoolAfterDays int = 30
@description('Days until a captured file is deleted.')
@minValue(1)
param captureDeleteAfterDays int = 90
@description('Redundancy of both storage accounts.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GZRS', 'Standard_RAGZRS'])
param storageSku string = 'Standard_LRS'
@description('Node.js version of the app.')
@allowed(['20', '22', '24'])
param nodeVersion string = '22'
@description('Memory of one instance: 512 has a quarter of a core, 2048 one core, 4096 two.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048
@description('Instances one trigger may have, at most: a ceiling on cost. More than there are partitions never help.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40
@description('Instances that are always there, by trigger: "function:flights-flights=1; durable=1".')
param alwaysReady string = ''
@description('Whether instances are spread over zones (the region must have them; always-ready groups then need two).')
param zoneRedundant bool = false
@description('Seconds a batch that is not full waits for more events: the lever on cost, every batch is paid for. 0: it does not wait.')
@minValue(0)
@maxValue(10)
param batchWaitSeconds int = 2
@description('Where Durable Functions keeps its state, if the app uses it: queues and tables of the host account, or the managed Durable Task Scheduler.')
@allowed(['azureStorage', 'durableTaskScheduler'])
param durableBackend string = 'azureStorage'
@description('Whether Event Hubs and storage are reached through private endpoints only.')
param vnetEnabled bool = false
@description('Gigabytes of logs a day after which no more are taken.')
@minValue(1)
param logDailyQuotaGb int = 1
@description('Whether to make the Azure Monitor workbook.')
param workbookEnabled bool = true
@description('Who is mailed when an alert fires; empty: nobody.')
param alertEmail string = ''
@description('Minutes a partition may be behind before an alert fires.')
@minValue(1)
param lagAlertMinutes int = 10
@description('Settings of the app to change (names: docs/DEPLOY.md): "MILLRACE_SUPERVISOR=durable; MILLRACE_TOPOLOGIES=flights".')
param settings string = ''
@description('Address of a release package to run; empty: infrastructure only, deploy the code afterwards.')
param packageUri string = ''

var plan = loadJsonContent('generated/plan.json')
// Texts, since azd passes nothing else on and a form asks for nothing else. What has no "=" is refused:
// a part cannot begin behind its end.
var changedSettings = toObject(
  filter(split(settings, ';'), part => !empty(trim(part))),
  part => trim(split(part, '=')[0]),
  part => trim(substring(part, length(split(part, '=')[0]) + 1))
)
var alwaysReadyGroups = map(
  filter(split(alwaysReady, ';'), part => !empty(trim(part))),
  part => { name: trim(split(part, '=')[0]), instanceCount: int(trim(split(part, '=')[1])) }
)
// The app's settings with the defaults of the code, so that the portal shows them all.
var millraceSettings = union(loadJsonContent('generated/settings.json'), changedSettings)
var host = loadJsonContent('../host.json')
// The host reads these over host.json. The scale controller needs neither.
var batchSettings = batchWaitSeconds == 0
  ? {}
  : {
      AzureFunctionsJobHost__extensions__eventHubs__minEventBatchSize: string(host.extensions.eventHubs.maxEventBatchSize)
      AzureFunctionsJobHost__extensions__eventHubs__maxWaitTime: '00:00:${padLeft(batchWaitSeconds, 2, '0')}'
    }
var schedulerName = durableBackend == 'durableTaskScheduler' ? 'dts-${resourceToken}' : ''
var taskHubName = host.extensions.durableTask.hubName
var tags = { 'azd-env-name': environmentName }
var appSubnetName = 'app'
// Names are written here and not taken from outputs: what-if must know them before anything runs.
var identityName = 'id-${resourceToken}'
var hostAccountName = 'sthost${resourceToken}'
var lakeAccountName = 'stlake${resourceToken}'
var namespaceName = 'evhns-${resourceToken}'
var insightsName = 'appi-${resourceToken}'
var packageContainer = 'app-package'
var captureContainer = captureEnabled ? 'capture' : ''
var publicNetworkAccess = vnetEnabled ? 'Disabled' : 'Enabled'

module identity 'modules/identity.bicep' = {
  params: { name: identityName, location: location, tags: tags }
}

module storage 'modules/storage.bicep' = {
  params: {
    hostAccountName: hostAccountName
    lakeAccountName: lakeAccountName
    location: location
    tags: tags
    skuName: storageSku
    packageContainer: packageContainer
    lakeContainers: [
      millraceSettings.MILLRACE_COMMIT_CONTAINER
      millraceSettings.MILLRACE_LAKE_CONTAINER
    ]
    captureContainer: captureContainer
    captureCoolAfterDays: captureCoolAfterDays
    captureDeleteAfterDays: captureDeleteAfterDays
    publicNetworkAccess: publicNetworkAccess
  }
}

module namespace 'modules/eventhubs-namespace.bicep' = {
  params: {
    name: namespaceName
    location: location
    tags: tags
    skuName: eventHubsSku
    capacity: eventHubsCapacity
    maximumThroughputUnits: eventHubsMaximumThroughputUnits
    identityId: identity.outputs.id
    publicNetworkAccess: publicNetworkAccess
  }
}

module monitor 'modules/monitor.bicep' = {
  params: {
    workspaceName: 'log-${resourceToken}'
    insightsName: insightsName
    location: location
    tags: tags
    dailyQuotaGb: logDailyQuotaGb
    workbookEnabled: workbookEnabled
  }
}

module durable 'modules/durable.bicep' = if (!empty(schedulerName)) {
  params: { name: schedulerName, taskHubName: taskHubName, location: location, tags: tags }
}

module rbac 'modules/rbac.bicep' = {
  params: {
    appPrincipalId: identity.outputs.principalId
    appIdentityId: resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', identityName)
    deployerPrincipalId: principalId
    deployerPrincipalType: principalType
    namespaceName: namespaceName
    hostAccountName: hostAccountName
    lakeAccountName: lakeAccountName
    insightsName: insightsName
    schedulerName: schedulerName
  }
  dependsOn: [namespace, storage, monitor, durable]
}

// After the roles: Capture is refused while its identity may not write.
module eventhubs 'modules/eventhubs.bicep' = {
  params: {
    namespaceName: namespaceName
    hubs: plan.hubs
    partitionCount: partitionCount
    retentionHours: retentionHours
    captureContainer: captureContainer
    captureAccountId: storage.outputs.lakeAccountId
    captureIdentityId: identity.outputs.id
  }
  dependsOn: [rbac]
}

module network 'modules/network.bicep' = if (vnetEnabled) {
  params: {
    name: 'vnet-${resourceToken}'
    location: location
    tags: tags
    namespaceId: namespace.outputs.id
    hostAccountId: storage.outputs.hostAccountId
    lakeAccountId: storage.outputs.lakeAccountId
    appSubnetName: appSubnetName
  }
}

// Both go over host.json, which leaves the backend open: on a laptop it is Azurite.
var durablePrefix = 'AzureFunctionsJobHost__extensions__durableTask__storageProvider__'
var durableSettings = empty(schedulerName)
  ? { '${durablePrefix}maxQueuePollingInterval': '00:00:05' }
  : {
      '${durablePrefix}type': 'azureManaged'
      '${durablePrefix}connectionStringName': 'DURABLE_TASK_SCHEDULER_CONNECTION_STRING'
      DURABLE_TASK_SCHEDULER_CONNECTION_STRING: 'Endpoint=${durable!.outputs.endpoint};TaskHub=${taskHubName};Authentication=ManagedIdentity;ClientID=${identity.outputs.clientId}'
    }
// What Node takes for the memory of the machine need not be that of the instance: the rest of it is the host's.
// With this set a new instance starts a process of its own instead of one that waits: a second or two later.
var heapMB = instanceMemoryMB * 5 / 8
var platformSettings = {
  languageWorkers__node__arguments: '--max-old-space-size=${heapMB}'
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.outputs.clientId};Authorization=AAD'
  APPLICATIONINSIGHTS_CONNECTION_STRING: monitor.outputs.insightsConnectionString
  AZURE_CLIENT_ID: identity.outputs.clientId
  AzureWebJobsStorage__accountName: storage.outputs.hostAccountName
  AzureWebJobsStorage__clientId: identity.outputs.clientId
  AzureWebJobsStorage__credential: 'managedidentity'
  EventHubConnection__clientId: identity.outputs.clientId
  EventHubConnection__credential: 'managedidentity'
  EventHubConnection__fullyQualifiedNamespace: namespace.outputs.fullyQualifiedName
  LakeStorage__blobServiceUri: storage.outputs.lakeBlobEndpoint
}

module functions 'modules/functions.bicep' = {
  params: {
    name: 'func-${resourceToken}'
    planName: 'plan-${resourceToken}'
    location: location
    tags: tags
    serviceName: 'millrace'
    identityId: identity.outputs.id
    packageContainerUrl: '${storage.outputs.hostBlobEndpoint}${packageContainer}'
    subnetId: vnetEnabled ? network!.outputs.appSubnetId : ''
    nodeVersion: nodeVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReady: alwaysReadyGroups
    zoneRedundant: zoneRedundant
    appSettings: union(millraceSettings, batchSettings, durableSettings, changedSettings, platformSettings)
    packageUri: packageUri
  }
  dependsOn: [rbac, eventhubs]
}

module alerts 'modules/alerts.bicep' = {
  params: {
    nameSuffix: resourceToken
    location: location
    tags: tags
    email: alertEmail
    namespaceId: namespace.outputs.id
    insightsId: monitor.outputs.insightsId
    lagMinutes: lagAlertMinutes
    captureEnabled: captureEnabled
  }
}

output AZURE_FUNCTION_APP_NAME string = functions.outputs.name
output AZURE_FUNCTION_APP_HOST string = functions.outputs.hostName
output EVENT_HUBS_NAMESPACE string = namespace.outputs.fullyQualifiedName
output LAKE_BLOB_SERVICE_URI string = storage.outputs.lakeBlobEndpoint
output HOST_STORAGE_ACCOUNT string = storage.outputs.hostAccountName
output APP_IDENTITY_CLIENT_ID string = identity.outputs.clientId
output PRIVATE_NETWORK_ONLY bool = vnetEnabled
