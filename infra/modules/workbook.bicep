// A page in the portal (Application Insights, Workbooks) with the queries of docs/operate.md.

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource ID of Application Insights.')
param applicationInsightsId string

var tables = [
  { title: 'Backups', query: loadTextContent('../queries/runs.kql') }
  { title: 'Failed backups', query: loadTextContent('../queries/failures.kql') }
  { title: 'Roots without a recent backup', query: loadTextContent('../queries/missing.kql') }
  { title: 'Verifications', query: loadTextContent('../queries/verifications.kql') }
  { title: 'Slow backups', query: loadTextContent('../queries/slow-runs.kql') }
]

var timeRange = {
  type: 9 // parameters
  name: 'parameters'
  content: {
    version: 'KqlParameterItem/1.0'
    parameters: [
      {
        version: 'KqlParameterItem/1.0'
        name: 'TimeRange'
        label: 'Time range'
        type: 4 // a time range; durations are in milliseconds
        isRequired: true
        value: { durationMs: 604800000 }
        typeSettings: {
          selectableValues: [{ durationMs: 86400000 }, { durationMs: 604800000 }, { durationMs: 2592000000 }]
        }
      }
    ]
  }
}

var items = [
  for table in tables: {
    type: 3 // a query
    name: table.title
    content: {
      version: 'KqlItem/1.0'
      title: table.title
      query: table.query
      size: 0
      timeContextFromParameter: 'TimeRange'
      queryType: 0 // logs
      resourceType: 'microsoft.insights/components'
      visualization: 'table'
    }
  }
]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'site-backup')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Site backup'
    category: 'workbook'
    sourceId: applicationInsightsId
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat([timeRange], items)
    })
  }
}
