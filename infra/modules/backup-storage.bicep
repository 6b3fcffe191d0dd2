// The account that holds the backups, apart from the host's: its lifecycle rules, its replication and its
// permissions are about backups alone, and deleting the app's own storage deletes none.
//
// The app may write, read, list and delete blobs in four containers. It may not delete a version of a blob,
// change the rules below, or see another container: what it overwrites or deletes can be restored for as long as
// `versionDays` and `softDeleteDays` say. That is the second net: the app itself keeps earlier content, in
// `historyContainer`, for as long as a run needs it.

@description('Name of the storage account.')
param name string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Replication, a name of a SKU.')
param redundancy string

@description('Days that an overwritten version of a blob is kept, counted from when that version was written.')
param versionDays int

@description('Days that a deleted blob, version or container can be restored.')
param softDeleteDays int

@description('Days that what a run has left in its working container is kept after it was written.')
param runRecordDays int

@description('Principal that the app runs as.')
param appPrincipalId string

@description('User who may read the backups. Empty: nobody.')
param operatorPrincipalId string

@description('Whether the account can be reached other than through private endpoints.')
param publicAccess bool

// The names that the code gives them: it would create them itself, but need the right to create any.
var backupsContainer = 'backups'
var historyContainer = 'backup-history'
var catalogContainer = 'backup-catalog'
var runsContainer = 'backup-runs'
var containerNames = [backupsContainer, historyContainer, catalogContainer, runsContainer]
var operatorContainers = empty(operatorPrincipalId) ? [] : containerNames

var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var storageBlobDataReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: redundancy }
  // checkov:skip=CKV_AZURE_35: an app outside a network has no address to allow; privateNetwork=true shuts this door
  // checkov:skip=CKV_AZURE_206: the parameter's default is Standard_GRS, which this check does not look up
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: publicAccess ? 'Enabled' : 'Disabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: publicAccess ? 'Allow' : 'Deny'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: true
    deleteRetentionPolicy: { enabled: true, days: softDeleteDays }
    containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
  }
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for containerName in containerNames: {
    parent: blobs
    name: containerName
    properties: { publicAccess: 'None' }
  }
]

// A version's age counts from when it was written, not from when it was replaced: a file that had not changed
// for longer than `versionDays` loses its old version at once when it does. Soft delete then still keeps that
// version for `softDeleteDays`.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  dependsOn: [blobs] // rules about versions are refused until versioning is on
  properties: {
    policy: {
      rules: [
        {
          name: 'old-versions'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: ['blockBlob']
              prefixMatch: ['${backupsContainer}/', '${historyContainer}/', '${catalogContainer}/', '${runsContainer}/']
            }
            actions: {
              version: { delete: { daysAfterCreationGreaterThan: versionDays } }
              snapshot: { delete: { daysAfterCreationGreaterThan: versionDays } }
            }
          }
        }
        {
          name: 'run-records'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['${runsContainer}/'] }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: runRecordDays } } }
          }
        }
      ]
    }
  }
}

resource appAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (containerName, index) in containerNames: {
    scope: containers[index]
    name: guid(account.id, containerName, appPrincipalId, storageBlobDataContributor)
    properties: {
      principalId: appPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
    }
  }
]

resource operatorAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (containerName, index) in operatorContainers: {
    scope: containers[index]
    name: guid(account.id, containerName, operatorPrincipalId, storageBlobDataReader)
    properties: {
      principalId: operatorPrincipalId
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataReader)
    }
  }
]

output id string = account.id
output name string = account.name
output created string = account.properties.creationTime
output blobUri string = account.properties.primaryEndpoints.blob
output backupsContainer string = containers[0].name
output historyContainer string = containers[1].name
output catalogContainer string = containers[2].name
output runsContainer string = containers[3].name
