// The one identity of the function app. Assigned by the user, so that its roles exist before the app.
@description('Name of the identity.')
param name string
@description('Region.')
param location string
@description('Tags of every resource.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

output id string = identity.id
output clientId string = identity.properties.clientId
output principalId string = identity.properties.principalId
