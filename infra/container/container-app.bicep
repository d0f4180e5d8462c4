// The same app as a container on Azure Container Apps, beside what resources.bicep made: deploy that
// first, stop its function app, then this. One rule per trigger: the largest demand decides.
@description('Name of the container app and, with a suffix, of its environment.')
@maxLength(32)
param name string = 'millrace'
@description('Region.')
param location string = resourceGroup().location
@description('The image that the Dockerfile makes, in a registry that the identity may pull from.')
param image string
@description('Registry of the image; empty: a public one.')
param registry string = ''
@description('Identity that resources.bicep made.')
param identityName string
@description('Event Hubs namespace that resources.bicep made.')
param namespaceName string
@description('Account of the Functions host that resources.bicep made.')
param hostAccountName string
@description('Lake account that resources.bicep made.')
param lakeAccountName string
@description('Application Insights component that resources.bicep made.')
param insightsName string
@description('Settings of the app to change, as in resources.bicep: "NAME=value; NAME=value".')
param settings string = ''
@description('Replicas when nothing waits. One: rows that are gathered but not yet written do not wait for the next event.')
@minValue(0)
param minimumReplicas int = 1
@description('Replicas at most: more than there are partitions never help.')
@minValue(1)
param maximumReplicas int = 8

var plan = loadJsonContent('../generated/plan.json')
var defaultSettings = loadJsonContent('../generated/settings.json')
var changedSettings = toObject(
  filter(split(settings, ';'), part => !empty(trim(part))),
  part => trim(split(part, '=')[0]),
  part => trim(substring(part, length(split(part, '=')[0]) + 1))
)
var host = loadJsonContent('../../host.json')

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
}

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource lakeAccount 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: lakeAccountName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource environment 'Microsoft.App/managedEnvironments@2026-01-01' = {
  name: '${name}-env'
  location: location
  properties: {}
}

var platformSettings = {
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  AZURE_CLIENT_ID: identity.properties.clientId
  // One host for all replicas: timers run once, function keys stay.
  AzureFunctionsWebHost__hostid: name
  AzureWebJobsStorage__accountName: hostAccountName
  AzureWebJobsStorage__clientId: identity.properties.clientId
  AzureWebJobsStorage__credential: 'managedidentity'
  EventHubConnection__clientId: identity.properties.clientId
  EventHubConnection__credential: 'managedidentity'
  EventHubConnection__fullyQualifiedNamespace: split(split(namespace.properties.serviceBusEndpoint, '//')[1], ':')[0]
  LakeStorage__blobServiceUri: lakeAccount.properties.primaryEndpoints.blob
}

resource app 'Microsoft.App/containerApps@2026-01-01' = {
  name: name
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identity.id}': {} }
  }
  properties: {
    environmentId: environment.id
    configuration: {
      activeRevisionsMode: 'Single'
      registries: empty(registry) ? [] : [{ server: registry, identity: identity.id }]
    }
    template: {
      // Longer than a batch may take (host.json functionTimeout): it is finished, not repeated.
      terminationGracePeriodSeconds: 330
      containers: [
        {
          name: 'millrace'
          image: image
          resources: { cpu: json('1.0'), memory: '2Gi' }
          env: map(items(union(defaultSettings, changedSettings, platformSettings)), setting => {
            name: setting.key
            value: setting.value
          })
        }
      ]
      scale: {
        minReplicas: minimumReplicas
        maxReplicas: maximumReplicas
        rules: [
          for trigger in plan.functions: {
            name: trigger.name
            custom: {
              type: 'azure-eventhub'
              identity: identity.id
              metadata: {
                eventHubNamespace: namespaceName
                eventHubName: trigger.hub
                consumerGroup: trigger.consumerGroup
                storageAccountName: hostAccountName
                blobContainer: 'azure-webjobs-eventhub'
                checkpointStrategy: 'blobMetadata'
                unprocessedEventThreshold: string(host.extensions.eventHubs.targetUnprocessedEventThreshold)
              }
            }
          }
        ]
      }
    }
  }
}

output name string = app.name
