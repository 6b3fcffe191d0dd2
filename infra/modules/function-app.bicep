// The app: a Flex Consumption plan and a site on it. Its settings are the names that the code reads, and those
// that the host reads; docs/settings.md describes the former.

@description('Suffix that makes names unique.')
param token string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource ID of the identity that the app runs as.')
param identityId string

@description('Client ID of that identity.')
param identityClientId string

@description('Name of the host\'s storage account.')
param hostStorageName string

@description('Container of that account for deployment packages.')
param deploymentContainer string

@description('Blob endpoint of the account that holds the backups.')
param backupBlobUri string

@description('Address of Application Insights.')
param applicationInsightsConnectionString string

@description('Directories that may be backed up, with a colon between them.')
param allowedRoots string

@description('Files in flight at once in one worker process.')
param concurrency int

@description('Entries after which a listing enters no further directory.')
param listBudget int

@description('Whether log and error messages may name the files that are backed up.')
param logPaths bool

@description('Subnet that the app\'s outgoing traffic starts from. Empty: none.')
param subnetId string

var hostEndpoints = hostStorage.properties.primaryEndpoints

resource hostStorage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: hostStorageName
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  // checkov:skip=CKV_AZURE_225: a run sits out the loss of a zone; it goes on when there is an instance again
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: 'func-${token}'
  location: location
  tags: union(tags, { 'azd-service-name': 'backup' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  // checkov:skip=CKV_AZURE_17: callers have a function key, not a certificate
  // checkov:skip=CKV_AZURE_78: there is no FTP on this plan, and `ftp` below refuses it
  // checkov:skip=CKV_AZURE_222: the key is the door; operators call it from where they are
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: { minTlsVersion: '1.2' }
    functionAppConfig: {
      runtime: { name: 'python', version: '3.13' }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${hostEndpoints.blob}${deploymentContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: 2048
        maximumInstanceCount: 40
        // A run that waits for its activities needs an instance that is there to notice.
        alwaysReady: [{ name: 'durable', instanceCount: 1 }]
      }
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'appsettings'
  properties: {
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    AzureWebJobsStorage__blobServiceUri: hostEndpoints.blob
    AzureWebJobsStorage__queueServiceUri: hostEndpoints.queue
    AzureWebJobsStorage__tableServiceUri: hostEndpoints.table
    APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    // The exporter's default keeps five traces a second and drops the log lines of the others: alerts and workbook
    // would miss events of runs.
    OTEL_TRACES_SAMPLER: 'microsoft.fixed_percentage'
    OTEL_TRACES_SAMPLER_ARG: '1.0' // a ratio: all of them
    BackupStorage__blobServiceUri: backupBlobUri
    BackupStorage__clientId: identityClientId
    BACKUP_ALLOWED_ROOTS: allowedRoots
    BACKUP_CONCURRENCY: string(concurrency)
    BACKUP_LIST_BUDGET: string(listBudget)
    BACKUP_LOG_PATHS: logPaths ? 'true' : 'false'
  }
}

// Publishing takes an Entra ID token: user names and passwords are refused. Azure refuses writes to one site's
// configuration at the same time, so each of these waits for the one before.
resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
  dependsOn: [settings]
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
  dependsOn: [ftp]
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
