import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import type { ComputeReady } from '../../../local/demo/app-environment.ts'
import { askEmulator } from '../../../local/demo/emulator.ts'
import { subscription } from './local-world.ts'

/** Names of what the platform keeps for backups: nothing here goes through the app or its SDK. */
export interface PlatformCopies {
  readonly restorePoints: readonly string[]
  readonly snapshots: readonly string[]
  /** Resources with a live SAS. */
  readonly grants: readonly string[]
}

export const platformCopies = async (compute: ComputeReady): Promise<PlatformCopies> => {
  const token = await tokenOf(compute)
  const inSubscription = `/subscriptions/${subscription}/providers/Microsoft.Compute`
  const collections = await armList(compute, token, `${inSubscription}/restorePointCollections?api-version=2026-04-01`)
  const restorePoints: string[] = []
  for (const { id } of collections) {
    const points = (await armGet(compute, token, `${id}?$expand=restorePoints&api-version=2026-04-01`)) as {
      properties?: { restorePoints?: readonly { readonly name: string }[] }
    }
    restorePoints.push(...(points.properties?.restorePoints ?? []).map(({ name }) => name))
  }
  const snapshots = await armList(compute, token, `${inSubscription}/snapshots?api-version=2026-03-02`)
  const grants = (await askEmulator(compute, 'GET', '/_emulator/grants')) as {
    value: readonly { readonly id: string }[]
  }
  return { restorePoints, snapshots: snapshots.map(({ id }) => id), grants: grants.value.map(({ id }) => id) }
}

/** Counts the requests of one operation from now on: a fault that does nothing counts how often it was met.
 * @returns a function that tells the count */
export const countRequests = async (compute: ComputeReady, operation: string): Promise<() => Promise<number>> => {
  await askEmulator(compute, 'POST', '/_emulator/faults', { operation, times: countMax, latencyMs: 1 })
  return async () => {
    const { value } = (await askEmulator(compute, 'GET', '/_emulator/faults')) as {
      value: readonly { readonly operation: string; readonly times: number }[]
    }
    return countMax - (value.find((fault) => fault.operation === operation)?.times ?? 0)
  }
}

const countMax = 1_000_000

interface ArmResource {
  readonly id: string
  readonly name: string
}

const tokenOf = async (compute: ComputeReady): Promise<string> => {
  const url = `${compute.identityEndpoint}?api-version=2019-08-01&resource=https://management.azure.com/`
  const { access_token } = (await getJson(compute, url, { 'x-identity-header': compute.identityHeader })) as {
    access_token: string
  }
  return access_token
}

const armGet = (compute: ComputeReady, token: string, path: string): Promise<unknown> =>
  getJson(compute, new URL(path, compute.armEndpoint).href, { authorization: `Bearer ${token}` })

const armList = async (compute: ComputeReady, token: string, path: string): Promise<readonly ArmResource[]> => {
  const found: ArmResource[] = []
  let next: string | undefined = path
  while (next !== undefined) {
    const page = (await armGet(compute, token, next)) as { value: readonly ArmResource[]; nextLink?: string }
    found.push(...page.value)
    next = page.nextLink
  }
  return found
}

const getJson = async (compute: ComputeReady, url: string, headers: Record<string, string>): Promise<unknown> => {
  if (url.startsWith('http:')) {
    const response = await fetch(url, { headers })
    return response.json()
  }
  const ca = await readFile(compute.certificatePath)
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const call = request(url, { ca, headers, agent: false }, (response) => {
    const parts: Buffer[] = []
    response.on('data', (part: Buffer) => parts.push(part))
    response.on('end', () => {
      const text = Buffer.concat(parts).toString()
      if (response.statusCode === 200) resolve(JSON.parse(text))
      else reject(new Error(`GET ${url} answered ${response.statusCode}: ${text}`))
    })
  })
  call.on('error', reject).end()
  return promise
}
