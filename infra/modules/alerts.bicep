// What an operator must hear of without asking: a run or a verification failed, a root has no new backup, or there
// is no backup at all.

@description('Suffix that makes names unique.')
param token string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource ID of Application Insights.')
param applicationInsightsId string

@description('Address to mail to. Empty: nobody is told.')
param email string

@description('Hours without a successful backup of a root after which to tell. 0: never.')
param hoursWithoutSuccess int

@description('When there could be a backup for the first time: an ISO 8601 time.')
param since string

var verifications = loadTextContent('../queries/verifications.kql')
var actionGroups = empty(email) ? [] : [mail.id]
var once = { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }

var failures = [
  {
    name: 'backup'
    title: 'A backup failed'
    description: 'The run did not save everything, or storage does not hold what it saved. The status document of the instance has the reason.'
    query: loadTextContent('../queries/failures.kql')
  }
  {
    name: 'verification'
    title: 'A verification failed'
    description: 'Blobs of an earlier run are missing or changed, or could not be checked. The status document of the instance has the reason.'
    query: '${verifications}\n| where status != "Completed"'
  }
]

resource mail 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-${token}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'backup'
    emailReceivers: [{ name: 'operator', emailAddress: email, useCommonAlertSchema: true }]
  }
}

resource failed 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for failure in failures: {
    name: 'alert-${failure.name}-failed-${token}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: failure.title
      description: failure.description
      severity: 1
      enabled: true
      scopes: [applicationInsightsId]
      // Log entries arrive up to a few minutes late: the windows overlap.
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      autoMitigate: false // a later success does not bring back what this run missed
      muteActionsDuration: 'PT15M'
      criteria: {
        allOf: [
          {
            query: failure.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: [
              { name: 'rootId', operator: 'Include', values: ['*'] }
              { name: 'instanceId', operator: 'Include', values: ['*'] }
            ]
            failingPeriods: once
          }
        ]
      }
      actions: { actionGroups: actionGroups }
    }
  }
]

// A rule sees two days at most, so it forgets a root two days after its last event. Resolving the alert by itself
// would then tell the operator that all is well: it does not, and it tells again every six hours for as long as it
// sees the root. `hoursWithoutSuccess` leaves six hours of the two days.
resource missing 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-backup-missing-${token}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'A root has had no successful backup for ${hoursWithoutSuccess} hours'
    description: 'Its backups are not started, do not end, or fail. Other roots do not count.'
    severity: 1
    enabled: hoursWithoutSuccess > 0
    scopes: [applicationInsightsId]
    evaluationFrequency: 'PT1H'
    windowSize: 'P2D'
    autoMitigate: false
    muteActionsDuration: 'PT6H'
    criteria: {
      allOf: [
        {
          query: replace(loadTextContent('../queries/missing.kql'), '26h', '${hoursWithoutSuccess}h')
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [{ name: 'rootId', operator: 'Include', values: ['*'] }]
          failingPeriods: once
        }
      ]
    }
    actions: { actionGroups: actionGroups }
  }
}

// A deployment of less than two days ago had no time for it.
resource none 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-backup-none-${token}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'No backup of any root has succeeded for two days'
    description: 'Backups are not started, do not end, or fail.'
    severity: 1
    enabled: hoursWithoutSuccess > 0
    scopes: [applicationInsightsId]
    evaluationFrequency: 'PT1H'
    windowSize: 'P2D'
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: replace(loadTextContent('../queries/none.kql'), 'datetime(2000-01-01)', 'datetime(${since})')
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: once
        }
      ]
    }
    actions: { actionGroups: actionGroups }
  }
}
