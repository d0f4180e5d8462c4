// The plan and the app on Flex Consumption: every trigger scales by itself, down to nothing.
@description('Name of the function app: at most 32 characters, the host cuts its id there.')
@maxLength(32)
param name string
@description('Name of the plan.')
param planName string
@description('Region.')
param location string
@description('Tags of every resource.')
param tags object
@description('Name azd knows the service by (azure.yaml).')
param serviceName string
@description('Identity of the app.')
param identityId string
@description('Container of the app package, as a URL.')
param packageContainerUrl string
@description('Subnet of the app; empty: none.')
param subnetId string
@description('Node.js version.')
param nodeVersion string
@description('Memory of one instance.')
param instanceMemoryMB int
@description('Instances one trigger may have, at most.')
param maximumInstanceCount int
@description('Instances that are always there, by trigger: function:<name>.')
param alwaysReady alwaysReadyGroup[]
@description('Whether instances are spread over zones.')
param zoneRedundant bool
@description('App settings.')
param appSettings object
@description('Address of a release package to deploy; empty: none, code comes later.')
param packageUri string

@description('Instances that are always there.')
type alwaysReadyGroup = {
  @description('http, durable, or function:<name>.')
  name: string
  @description('How many.')
  instanceCount: int
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: zoneRedundant }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': serviceName })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: { name: 'node', version: nodeVersion }
      scaleAndConcurrency: {
        alwaysReady: alwaysReady
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      appSettings: map(items(appSettings), setting => { name: setting.key, value: setting.value })
    }
  }

  // Nobody publishes with a user name and a password: Entra alone says who may.
  resource ftpPassword 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  // One after the other: the service refuses changes to one site at the same time.
  resource scmPassword 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
    dependsOn: [ftpPassword]
  }

  resource package 'extensions' = if (!empty(packageUri)) {
    name: 'onedeploy'
    #disable-next-line BCP187
    properties: { packageUri: packageUri, remoteBuild: false }
    dependsOn: [scmPassword]
  }
}

output name string = app.name
output id string = app.id
output hostName string = app.properties.defaultHostName
