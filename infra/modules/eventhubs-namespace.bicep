// The namespace alone: roles are given on it before its hubs are made (Capture needs them then).
@description('Name of the namespace.')
param name string
@description('Region.')
param location string
@description('Tags of every resource.')
param tags object
@description('Standard or Premium.')
param skuName string
@description('Throughput units (Standard) or processing units (Premium).')
param capacity int
@description('Throughput units up to which Standard inflates by itself; it never deflates.')
param maximumThroughputUnits int
@description('Identity with which Capture writes.')
param identityId string
@description('Enabled, or Disabled behind private endpoints.')
param publicNetworkAccess string

var doesInflate = skuName == 'Standard' && maximumThroughputUnits > capacity

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: skuName, tier: skuName, capacity: capacity }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: publicNetworkAccess
    isAutoInflateEnabled: doesInflate
    maximumThroughputUnits: doesInflate ? maximumThroughputUnits : 0
  }
}

output id string = namespace.id
output name string = namespace.name
output fullyQualifiedName string = split(split(namespace.properties.serviceBusEndpoint, '//')[1], ':')[0]
