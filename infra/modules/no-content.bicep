// Mounts nothing, and takes away what an earlier deployment mounted, with the key that it left on the platform.

@description('Name of the function app.')
param appName string

resource app 'Microsoft.Web/sites@2024-04-01' existing = {
  name: appName
}

resource mounts 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'azurestorageaccounts'
  properties: {}
}
