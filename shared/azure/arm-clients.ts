import { ComputeManagementClient } from '@azure/arm-compute'
import type { TokenCredential } from '@azure/identity'
import { armTriesPolicy } from './arm-tries.ts'

/** One management client for each subscription, made when first asked for. */
export interface ArmClients {
  readonly forSubscription: (subscriptionId: string) => ComputeManagementClient
}

/** Clients of Azure Resource Manager. Where they point is configuration alone: the endpoint and the token's audience follow from one
 * setting, and a private certificate is trusted through `NODE_EXTRA_CA_CERTS`.
 * @param options.endpoint https, without a trailing slash */
export const createArmClients = (options: {
  readonly credential: TokenCredential
  readonly endpoint: string
}): ArmClients => {
  const clients = new Map<string, ComputeManagementClient>()
  return {
    forSubscription: (subscriptionId) => {
      const known = clients.get(subscriptionId)
      if (known !== undefined) return known
      const client = new ComputeManagementClient(options.credential, subscriptionId, {
        endpoint: options.endpoint,
        credentials: { scopes: [`${options.endpoint}/.default`] },
      })
      // The SDK's policy sleeps for as long as Retry-After says, which may be 20 minutes, inside a running activity.
      client.pipeline.removePolicy({ name: 'defaultRetryPolicy' })
      client.pipeline.addPolicy(armTriesPolicy, { phase: 'Retry' })
      clients.set(subscriptionId, client)
      return client
    },
  }
}
