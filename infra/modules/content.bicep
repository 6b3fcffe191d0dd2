// Mounts an existing file share on every instance of the app, so that they all see the same tree.
//
// Azure Files can be mounted by account key only, so this is the one secret of the deployment. It is read here
// and handed to the platform; the app never sees it.

@description('Name of the function app.')
param appName string

@description('Resource ID of the storage account with the share.')
param accountId string

@description('Name of the share.')
param share string

@description('Where it is mounted: an absolute path, not under /home.')
param mountPath string

var idParts = split(accountId, '/')

resource app 'Microsoft.Web/sites@2024-04-01' existing = {
  name: appName
}

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: idParts[8]
  scope: resourceGroup(idParts[2], idParts[4])
}

resource mounts 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'azurestorageaccounts'
  properties: {
    content: {
      type: 'AzureFiles'
      protocol: 'Smb'
      accountName: account.name
      shareName: share
      mountPath: mountPath
      accessKey: account.listKeys().keys[0].value
    }
  }
}
