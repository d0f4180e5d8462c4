// The hubs of the plan (infra/generated/plan.json), one after the other.
@description('Namespace the hubs are in.')
param namespaceName string
@description('Hubs as the planner printed them.')
param hubs hubPlan[]
@description('Partitions of every hub; 0: as many as the planner says.')
param partitionCount int
@description('Hours an event is kept.')
param retentionHours int
@description('Container of Capture on the source hubs; empty: no Capture.')
param captureContainer string
@description('Account that receives captured files.')
param captureAccountId string
@description('Identity with which Capture writes.')
param captureIdentityId string

@description('One hub of the plan.')
type hubPlan = {
  @description('Name of the hub.')
  name: string
  @description('Sources are written by others, exchanges by the app itself.')
  kind: 'source' | 'exchange'
  @description('Partitions.')
  partitionCount: int
  @description('Consumer groups.')
  consumerGroups: string[]
}

@batchSize(1)
module hub 'hub.bicep' = [
  for plan in hubs: {
    params: {
      namespaceName: namespaceName
      name: plan.name
      partitionCount: partitionCount == 0 ? plan.partitionCount : partitionCount
      retentionHours: retentionHours
      consumerGroups: plan.consumerGroups
      capture: empty(captureContainer) || plan.kind != 'source'
        ? null
        : {
            storageAccountId: captureAccountId
            container: captureContainer
            identityId: captureIdentityId
          }
    }
  }
]
