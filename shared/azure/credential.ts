import { DefaultAzureCredential, type TokenCredential } from '@azure/identity'

/** The identity of the app: managed identity in Azure (`IDENTITY_ENDPOINT`), else what the developer's machine offers (Azure CLI and
 * others, in the order of DefaultAzureCredential).
 * @param clientId of a user-assigned identity; null takes the system-assigned one */
export const createCredential = (clientId: string | null): TokenCredential =>
  new DefaultAzureCredential(clientId === null ? {} : { managedIdentityClientId: clientId })
