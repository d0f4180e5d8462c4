// One private endpoint with its name in a private zone.
@description('Name of the endpoint.')
param name string
@description('Region.')
param location string
@description('Tags of every resource.')
param tags object
@description('Subnet of the endpoint.')
param subnetId string
@description('What is reached.')
param targetId string
@description('Which of its services.')
param group string
@description('Private zone of that service.')
param zoneId string

resource endpoint 'Microsoft.Network/privateEndpoints@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      { name: group, properties: { privateLinkServiceId: targetId, groupIds: [group] } }
    ]
  }

  resource zone 'privateDnsZoneGroups' = {
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [{ name: group, properties: { privateDnsZoneId: zoneId } }]
    }
  }
}
