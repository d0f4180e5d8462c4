// Where the app's log lines go, with a ceiling on what they may cost.
@description('Name of the Log Analytics workspace.')
param workspaceName string
@description('Name of the Application Insights component.')
param insightsName string
@description('Region.')
param location string
@description('Tags of every resource.')
param tags object
@description('Gigabytes a day after which the workspace takes no more.')
param dailyQuotaGb int
@description('Whether to make the workbook.')
param workbookEnabled bool

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: 30
    features: { disableLocalAuth: true }
    workspaceCapping: { dailyQuotaGb: dailyQuotaGb }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = if (workbookEnabled) {
  name: guid(resourceGroup().id, insightsName, 'millrace')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Millrace'
    category: 'workbook'
    sourceId: insights.id
    serializedData: loadTextContent('../workbook.json')
  }
}

output insightsName string = insights.name
output insightsId string = insights.id
output insightsConnectionString string = insights.properties.ConnectionString
output workspaceId string = workspace.id
