// One event hub with the consumer groups that the planner named, one reader each.
@description('Namespace the hub is in.')
param namespaceName string
@description('Name of the hub.')
param name string
@description('Partitions: fixed for the life of the hub on Standard.')
param partitionCount int
@description('Hours an event is kept.')
param retentionHours int
@description('Consumer groups, as the planner names them.')
param consumerGroups string[]
@description('Where Event Hubs Capture writes; empty: it does not.')
param capture captureTarget?

@description('Where Event Hubs Capture writes, and as whom.')
type captureTarget = {
  @description('Account that receives the files.')
  storageAccountId: string
  @description('Container in it.')
  container: string
  @description('Identity of the namespace that may write there.')
  identityId: string
}

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' existing = {
  name: namespaceName
}

var captureProperties = capture == null
  ? {}
  : {
      captureDescription: {
        enabled: true
        encoding: 'Avro'
        intervalInSeconds: 300
        sizeLimitInBytes: 314572800
        skipEmptyArchives: true
        destination: {
          name: 'EventHubArchive.AzureBlockBlob'
          identity: {
            type: 'UserAssigned'
            userAssignedIdentity: capture!.identityId
          }
          properties: {
            storageAccountResourceId: capture!.storageAccountId
            blobContainer: capture!.container
            archiveNameFormat: '{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}'
          }
        }
      }
    }

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' = {
  parent: namespace
  name: name
  properties: {
    partitionCount: partitionCount
    retentionDescription: { cleanupPolicy: 'Delete', retentionTimeInHours: retentionHours }
    ...captureProperties
  }

  // One after the other: a namespace refuses two changes at a time.
  @batchSize(1)
  resource groups 'consumergroups' = [
    for group in consumerGroups: {
      name: group
    }
  ]
}
