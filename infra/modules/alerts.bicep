// What a person must be told. Metrics where the platform has one, log lines of the app elsewhere:
// Event Hubs Standard has no metric for the lag of a consumer group.
@description('Ends every name: another environment may be in the same resource group.')
param nameSuffix string
@description('Region.')
param location string
@description('Tags of every resource.')
param tags object
@description('Who is mailed; empty: alerts fire without a mail.')
param email string
@description('Event Hubs namespace.')
param namespaceId string
@description('Application Insights component.')
param insightsId string
@description('Minutes between an event\'s arrival and its commit above which a partition is behind.')
param lagMinutes int
@description('Whether Capture is on.')
param captureEnabled bool

resource mail 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-millrace-${nameSuffix}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'millrace'
    enabled: true
    emailReceivers: [{ name: 'operator', emailAddress: email, useCommonAlertSchema: true }]
  }
}

var metricRules = concat(
  [
    { name: 'throttled-requests', metric: 'ThrottledRequests', severity: 2, text: 'Throughput units are used up' }
    { name: 'quota-exceeded', metric: 'QuotaExceededErrors', severity: 2, text: 'A quota of Event Hubs is exceeded' }
    { name: 'server-errors', metric: 'ServerErrors', severity: 3, text: 'Event Hubs answers with errors of its own' }
  ],
  captureEnabled
    ? [{ name: 'capture-backlog', metric: 'CaptureBacklog', severity: 3, text: 'Capture does not keep up' }]
    : []
)

resource metricAlerts 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for rule in metricRules: {
    name: 'millrace-${rule.name}-${nameSuffix}'
    location: 'global'
    tags: tags
    properties: {
      description: rule.text
      severity: rule.severity
      enabled: true
      scopes: [namespaceId]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT5M'
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: rule.name
            metricNamespace: 'Microsoft.EventHub/namespaces'
            metricName: rule.metric
            operator: 'GreaterThan'
            threshold: 0
            timeAggregation: 'Total'
          }
        ]
      }
      actions: empty(email) ? [] : [{ actionGroupId: mail.id }]
    }
  }
]

// Every line of the app is one JSON object (shared/telemetry/line-telemetry.ts).
var lines = '''
traces
| where message startswith '{"at":'
| extend line = parse_json(message)
| extend event = tostring(line.event), stage = strcat(line.topology, '/', line.stage)
| extend task = case(stage != '/', strcat(stage, '/', line.partition), isnotempty(tostring(line.sink)), tostring(line.sink), strcat(line.functionName, '/', line.partition))
'''
var logRules = [
  {
    name: 'lag'
    severity: 2
    text: 'A partition is further behind than it may be'
    query: '${lines}| where event == "task.behind" and tolong(line.lagMs) > ${lagMinutes * 60000}'
  }
  {
    name: 'dead-letters'
    severity: 3
    text: 'Events could not be processed: millrace dead-letters shows them'
    query: '${lines}| where event == "task.dead-letters"'
  }
  {
    name: 'ledger-unbalanced'
    severity: 1
    text: 'Events that were read have no end, or more than one: millrace audit says where'
    query: '${lines}| where event == "ledger.unbalanced"'
  }
  {
    name: 'quarantine'
    severity: 2
    text: 'An event killed the worker each time it was tried'
    query: '${lines}| where event == "task.quarantine"'
  }
  {
    name: 'stalled'
    severity: 2
    text: 'Input waits and no trigger commits it'
    query: '${lines}| where event == "task.stalled"'
  }
  {
    name: 'lost'
    severity: 1
    text: 'Events left the hub before anybody read them: the ledger has a hole'
    query: '${lines}| where event == "task.gap" and tolong(line.lostMessages) > 0'
  }
  {
    name: 'tend-failed'
    severity: 2
    text: 'Looking after tasks fails: rows are not written, windows not closed'
    query: '${lines}| where event == "tend.failed"'
  }
  {
    name: 'sink-open'
    severity: 2
    text: 'A table or an exchange keeps failing and is left alone: partitions wait'
    query: '${lines}| where event == "sink.opened"'
  }
  {
    name: 'supervisor-marked'
    severity: 2
    text: 'The supervisor has used up its attempts at a task: millrace supervisor says why'
    query: '${lines}| where event == "supervisor.marked"'
  }
  {
    name: 'supervisor-failing'
    severity: 2
    text: 'The supervisor does not move, or cannot look at all tasks'
    query: '${lines}| where event == "supervisor.replace" or event == "supervisor.survey-failed"'
  }
]

// Each cycle of the supervisor, timer or orchestration, ends in a line. None: the app is stopped, does
// not start, cannot reach its hubs or its storage, or its supervisor stands still.
resource silence 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'millrace-silence-${nameSuffix}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Millrace: silence'
    description: 'Nobody has looked after the tasks for 15 minutes'
    severity: 1
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: '${lines}| where event == "supervisor.cycle"'
          timeAggregation: 'Count'
          operator: 'LessThan'
          threshold: 1
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: empty(email) ? {} : { actionGroups: [mail.id] }
  }
}

resource logAlerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in logRules: {
    name: 'millrace-${rule.name}-${nameSuffix}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Millrace: ${rule.name}'
      description: rule.text
      severity: rule.severity
      enabled: true
      scopes: [insightsId]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      autoMitigate: true
      // The columns are known only once a line has arrived.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: [{ name: 'task', operator: 'Include', values: ['*'] }]
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: empty(email) ? {} : { actionGroups: [mail.id] }
    }
  }
]
