// Two questions that nobody should have to remember to ask: did a backup fail, and is there one at all?

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

@description('Hours without a success after which to tell.')
param hoursWithoutSuccess int

var runs = loadTextContent('../queries/runs.kql')
var failures = loadTextContent('../queries/failures.kql')
var actionGroups = empty(email) ? [] : [mail.id]
var once = { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }

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

resource failed 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-backup-failed-${token}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'A backup failed'
    description: 'Something was not saved, or is not what was saved. The status document of the instance says what.'
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
          query: failures
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [{ name: 'instanceId', operator: 'Include', values: ['*'] }]
          failingPeriods: once
        }
      ]
    }
    actions: { actionGroups: actionGroups }
  }
}

resource missing 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-backup-missing-${token}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'No backup has succeeded for ${hoursWithoutSuccess} hours'
    description: 'None was started, none ended, or all failed.'
    severity: 1
    enabled: true
    scopes: [applicationInsightsId]
    evaluationFrequency: 'PT1H'
    windowSize: 'P2D' // the longest there is; the query narrows it
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: '${runs}\n| where status == "Completed" and ended > ago(${hoursWithoutSuccess}h)'
          timeAggregation: 'Count'
          operator: 'LessThan'
          threshold: 1
          failingPeriods: once
        }
      ]
    }
    actions: { actionGroups: actionGroups }
  }
}
