// The Durable Task Scheduler: state of the Durable supervisor, kept by a service. Made only where it
// is chosen over the host account's queues and tables.
@description('Name of the scheduler.')
param name string
@description('Task hub: the hubName of host.json.')
param taskHubName string
@description('Region: it must offer the service.')
param location string
@description('Tags of every resource.')
param tags object

resource scheduler 'Microsoft.DurableTask/schedulers@2025-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: { name: 'Consumption' }
    // It knows no keys. An empty list would let nobody in, and it has no private endpoint here.
    ipAllowlist: ['0.0.0.0/0']
  }

  resource taskHub 'taskHubs' = {
    name: taskHubName
    properties: {}
  }
}

output endpoint string = scheduler.properties.endpoint
