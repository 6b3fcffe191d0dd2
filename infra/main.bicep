// Everything that the app needs in Azure, in one resource group.
//
//   identity ─┬─ host storage     task hub, deployment packages, keys
//             ├─ backup storage   the backups, their history and the runs' records; an account of its own
//             ├─ monitoring       Log Analytics, Application Insights, alerts, workbook
//             └─ function app     Flex Consumption, Python 3.13
//
// The app reaches all of them as one user-assigned identity; no account has a shared key, and no output or
// setting holds a secret. docs/deploy.md says how to deploy this, docs/security.md why it is as it is.
targetScope = 'subscription'

@description('Name of this deployment. The resource group is rg-<name>; azd sets it to the environment\'s name.')
@minLength(1)
@maxLength(40)
param environmentName string = 'site-backup'

// azd asks for it. A default would keep azd from asking, and it would deploy with none. There is no list of allowed
// regions: it would be out of date with every region that gets Flex Consumption.
@description('Region of all resources. It must offer Flex Consumption: az functionapp list-flexconsumption-locations.')
@minLength(1)
@metadata({ azd: { type: 'location' } })
param location string

@description('Object ID of a user who may read the backups; azd sets it to whoever deploys. Empty: nobody but the app.')
param operatorPrincipalId string = ''

@description('Directories that may be backed up, with what is below them: absolute paths. The default is the app\'s own directory; a mounted share is added by itself.')
@minLength(1) // none at all would mean the code's own default
param allowedRoots array = ['/home/site/wwwroot']

@description('Files in flight at once in one worker process.')
@minValue(1)
@maxValue(100)
param concurrency int = 32

@description('Entries after which a listing enters no further directory and leaves the rest to other listings.')
@minValue(1)
@maxValue(200000)
param listBudget int = 20000

@description('Whether log and error messages may name the files that are backed up, a line a file. The runs\' records name them in any case.')
param logPaths bool = false

@description('Replication of the backups. The default survives the loss of the region.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS', 'Standard_RAGRS', 'Standard_RAGZRS'])
param backupRedundancy string = 'Standard_GRS'

@description('Days that an overwritten version of a blob is kept, counted from when that version was written. The app keeps earlier content itself; this is for what something else overwrites.')
@minValue(1)
@maxValue(3650)
param versionDays int = 14

@description('Days that a deleted blob, version or container can be restored.')
@minValue(7)
@maxValue(365)
param softDeleteDays int = 30

@description('Days that plans and outcomes of a run that did not end are kept after they were written. Manifests are not among them.')
@minValue(7)
@maxValue(3650)
param runRecordDays int = 365

@description('Address that alerts are mailed to. Empty: alerts fire and are seen in the portal only.')
param alertEmail string = ''

@description('Alert when a root has had no successful backup for so many hours. The default is for a daily backup. 0: no alert about missing backups, for backups that are rarer.')
@minValue(0)
@maxValue(42) // a rule sees two days: see modules/alerts.bicep
param hoursWithoutSuccess int = 26

@description('Put the app into a virtual network and reach both storage accounts through private endpoints only.')
param privateNetwork bool = false

@description('Resource ID of an existing storage account whose file share holds the content to back up. Empty: none is mounted. Azure Files can only be mounted by account key.')
param contentAccountId string = ''

@description('Name of the file share in that account. It is mounted at /mounts/content on every instance.')
param contentShare string = ''

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var contentMountPath = '/mounts/content'
var hasContent = !empty(contentAccountId) && !empty(contentShare)
var roots = !hasContent ? allowedRoots : concat(allowedRoots, [contentMountPath])

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    appPrincipalId: identity.outputs.principalId
  }
}

module hostStorage 'modules/host-storage.bicep' = {
  name: 'host-storage'
  scope: group
  params: {
    name: 'sthost${token}'
    location: location
    tags: tags
    appPrincipalId: identity.outputs.principalId
    publicAccess: !privateNetwork
  }
}

module backupStorage 'modules/backup-storage.bicep' = {
  name: 'backup-storage'
  scope: group
  params: {
    name: 'stbackup${token}'
    location: location
    tags: tags
    redundancy: backupRedundancy
    versionDays: versionDays
    softDeleteDays: softDeleteDays
    runRecordDays: runRecordDays
    appPrincipalId: identity.outputs.principalId
    operatorPrincipalId: operatorPrincipalId
    publicAccess: !privateNetwork
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    hostStorageId: hostStorage.outputs.id
    backupStorageId: backupStorage.outputs.id
  }
}

module functionApp 'modules/function-app.bicep' = {
  name: 'function-app'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    hostStorageName: hostStorage.outputs.name
    deploymentContainer: hostStorage.outputs.deploymentContainer
    backupBlobUri: backupStorage.outputs.blobUri
    applicationInsightsConnectionString: monitoring.outputs.connectionString
    allowedRoots: join(roots, ':')
    concurrency: concurrency
    listBudget: listBudget
    logPaths: logPaths
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
  }
}

module content 'modules/content.bicep' = if (hasContent) {
  name: 'content'
  scope: group
  params: {
    appName: functionApp.outputs.name
    accountId: contentAccountId
    share: contentShare
    mountPath: contentMountPath
  }
}

// A deployment leaves alone what it does not name: without this, a share that is given up would stay mounted.
module noContent 'modules/no-content.bicep' = if (!hasContent) {
  name: 'no-content'
  scope: group
  params: { appName: functionApp.outputs.name }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    applicationInsightsId: monitoring.outputs.id
    email: alertEmail
    hoursWithoutSuccess: hoursWithoutSuccess
    since: backupStorage.outputs.created
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: {
    location: location
    tags: tags
    applicationInsightsId: monitoring.outputs.id
  }
}

// azd keeps outputs as variables of the environment; AZURE_FUNCTION_APP_NAME and the like are what docs/deploy.md uses.
@description('The resource group.')
output AZURE_RESOURCE_GROUP string = group.name

@description('The function app\'s name.')
output AZURE_FUNCTION_APP_NAME string = functionApp.outputs.name

@description('Where the app answers.')
output AZURE_FUNCTION_APP_URL string = functionApp.outputs.url

@description('The storage account that holds the backups.')
output BACKUP_STORAGE_ACCOUNT string = backupStorage.outputs.name

@description('The container that holds one blob per file.')
output BACKUP_CONTAINER string = backupStorage.outputs.backupsContainer

@description('The container that holds content that was overwritten or deleted.')
output BACKUP_HISTORY_CONTAINER string = backupStorage.outputs.historyContainer

@description('The container that holds the manifests and records of the runs.')
output BACKUP_CATALOG_CONTAINER string = backupStorage.outputs.catalogContainer

@description('The container that holds what runs need while they go on.')
output BACKUP_RUNS_CONTAINER string = backupStorage.outputs.runsContainer

@description('The storage account of the task hub and the deployment packages.')
output HOST_STORAGE_ACCOUNT string = hostStorage.outputs.name
