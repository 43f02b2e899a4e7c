import type { Connected } from './connect.ts'
import { type Found, ok, problem, type TokenOf } from './finding.ts'

/** Whether there are tokens for what the settings reach by identity. Tokens are neither shown nor kept.
 * @param lacking takes what there is no token for */
export async function* checkIdentity({ config, proveToken }: Connected, lacking: Set<TokenOf>): AsyncGenerator<Found> {
  const { connection } = config.storage
  const wanted: readonly { of: TokenOf; scope: string; clientId: string | null }[] = [
    { of: 'Azure Resource Manager', scope: `${config.armEndpoint}/.default`, clientId: config.identityClientId },
    ...(connection.kind === 'identity'
      ? [{ of: 'Azure Storage' as const, scope: 'https://storage.azure.com/.default', clientId: connection.clientId }]
      : []),
  ]
  for (const { of, scope, clientId } of wanted)
    yield await proveToken(clientId, scope).then(
      () => ok(`There is a token for ${of}.`),
      () => {
        lacking.add(of)
        return problem(
          `There is no token for ${of}.`,
          'In Azure: enable the managed identity of the function app, and name a user-assigned one by AZURE_CLIENT_ID. Here: sign in with "az login". Where AZURE_RESOURCE_MANAGER_ENDPOINT is set, it must be that of your cloud.',
        )
      },
    )
}
