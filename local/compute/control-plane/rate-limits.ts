import { ArmError } from './arm-error.ts'
import type { EmulatorSettings } from './settings.ts'

interface Bucket {
  readonly capacity: number
  readonly windowSeconds: number
  /** One bucket for each resource, or one for the subscription. */
  readonly per: 'resource' | 'subscription'
  /** Enforced only while `spacing` is on; its number is reported always. */
  readonly whenSpaced?: boolean
}

/** Capacities as recorded from the service (what remained after a first call, plus one); the windows of the disk service are
 * in the names, the others come from the compute throttling page or, where it is silent, are one minute. */
const buckets: Readonly<Record<string, Bucket>> = {
  CreateUpdateDisks3Min: { capacity: 3000, windowSeconds: 180, per: 'subscription' },
  CreateUpdateDisks30Min: { capacity: 25_000, windowSeconds: 1800, per: 'subscription' },
  HighCostSnapshotCreateHydrate3Min: { capacity: 1000, windowSeconds: 180, per: 'subscription' },
  HighCostSnapshotCreateHydrate30Min: { capacity: 8000, windowSeconds: 1800, per: 'subscription' },
  LowCostGet3Min: { capacity: 15_000, windowSeconds: 180, per: 'subscription' },
  LowCostGet30Min: { capacity: 120_000, windowSeconds: 1800, per: 'subscription' },
  HighCostGet3Min: { capacity: 1000, windowSeconds: 180, per: 'subscription' },
  HighCostGet30Min: { capacity: 8000, windowSeconds: 1800, per: 'subscription' },
  GetOperation3Min: { capacity: 50_000, windowSeconds: 180, per: 'subscription' },
  GetOperation30Min: { capacity: 400_000, windowSeconds: 1800, per: 'subscription' },
  GetOperationResource: { capacity: 60, windowSeconds: 60, per: 'resource' },
  GetOperationSubscriptionMaximum: { capacity: 15_000, windowSeconds: 300, per: 'subscription' },
  GetVMResource: { capacity: 36, windowSeconds: 180, per: 'resource' },
  ListVMSubscription: { capacity: 900, windowSeconds: 180, per: 'subscription' },
  UpdateVMResource: { capacity: 12, windowSeconds: 180, per: 'resource' },
  UpdateVMSubscriptionMaximum: { capacity: 1500, windowSeconds: 180, per: 'subscription' },
  PutRestorePointResource: { capacity: 6, windowSeconds: 3600, per: 'resource', whenSpaced: true },
  PutRestorePointSubscriptionMaximum: { capacity: 150, windowSeconds: 60, per: 'subscription' },
  PutRestorePointCollectionResource: { capacity: 15, windowSeconds: 60, per: 'resource' },
  PutRestorePointCollectionSubscriptionMaximum: { capacity: 150, windowSeconds: 60, per: 'subscription' },
  DeleteRestorePoints3Min: { capacity: 350, windowSeconds: 180, per: 'subscription' },
}

const diskWrite = ['CreateUpdateDisks3Min', 'CreateUpdateDisks30Min']
const snapshotCost = ['HighCostSnapshotCreateHydrate3Min', 'HighCostSnapshotCreateHydrate30Min']
const lowCostGet = ['LowCostGet3Min', 'LowCostGet30Min']
const highCostGet = ['HighCostGet3Min', 'HighCostGet30Min']
const vmUpdate = ['UpdateVMResource', 'UpdateVMSubscriptionMaximum']

/** Which buckets an operation draws on. Grants and revokes draw on the snapshot buckets: recorded. */
const bucketsOf: Readonly<Record<string, readonly string[]>> = {
  Disks_CreateOrUpdate: diskWrite,
  Disks_Update: diskWrite,
  Disks_Delete: diskWrite,
  Disks_Get: lowCostGet,
  Disks_List: highCostGet,
  Disks_ListByResourceGroup: highCostGet,
  Disks_GrantAccess: snapshotCost,
  Disks_RevokeAccess: snapshotCost,
  Snapshots_CreateOrUpdate: snapshotCost,
  Snapshots_Update: snapshotCost,
  Snapshots_Delete: snapshotCost,
  Snapshots_Get: lowCostGet,
  Snapshots_List: highCostGet,
  Snapshots_ListByResourceGroup: highCostGet,
  Snapshots_GrantAccess: snapshotCost,
  Snapshots_RevokeAccess: snapshotCost,
  DiskRestorePoint_Get: lowCostGet,
  DiskRestorePoint_ListByRestorePoint: highCostGet,
  DiskRestorePoint_GrantAccess: snapshotCost,
  DiskRestorePoint_RevokeAccess: snapshotCost,
  DiskOperations_Get: ['GetOperation3Min', 'GetOperation30Min'],
  Operations_Get: ['GetOperationResource', 'GetOperationSubscriptionMaximum'],
  VirtualMachines_Get: ['GetVMResource'],
  VirtualMachines_InstanceView: ['GetVMResource'],
  VirtualMachines_List: ['ListVMSubscription'],
  VirtualMachines_ListAll: ['ListVMSubscription'],
  VirtualMachines_CreateOrUpdate: vmUpdate,
  VirtualMachines_Delete: vmUpdate,
  VirtualMachines_Start: vmUpdate,
  VirtualMachines_PowerOff: vmUpdate,
  VirtualMachines_Deallocate: vmUpdate,
  RestorePoints_Create: ['PutRestorePointResource', 'PutRestorePointSubscriptionMaximum'],
  RestorePoints_Delete: ['DeleteRestorePoints3Min'],
  RestorePointCollections_CreateOrUpdate: [
    'PutRestorePointCollectionResource',
    'PutRestorePointCollectionSubscriptionMaximum',
  ],
  RestorePointCollections_Delete: ['DeleteRestorePoints3Min'],
}

/** Azure Resource Manager's own buckets, per subscription: request-limits-and-throttling (250 reads, 25 a second), and the
 * recorded writes and deletes. Their names here are the emulator's, for the setting `buckets`. */
const managerBuckets = {
  reads: { name: 'SubscriptionReads', capacity: 250, windowSeconds: 10 },
  writes: { name: 'SubscriptionWrites', capacity: 1200, windowSeconds: 120 },
  deletes: { name: 'SubscriptionDeletes', capacity: 15_000, windowSeconds: 1500 },
} as const

/** Counts requests against the buckets of the services. State is in memory: a restarted emulator is fresh. */
export interface RateLimits {
  /** Takes one token of each bucket of the operation and returns the headers that say what remains.
   * @param resourceKey what `per: resource` counts by
   * @throws ArmError 429 with Retry-After once a bucket is empty; then no token is taken */
  charge(operation: string, method: string, subscriptionId: string, resourceKey: string): Record<string, string>
}

interface Level {
  tokens: number
  atMs: number
}

/** Buckets that are full. */
export const createRateLimits = (settings: () => EmulatorSettings, nowMs: () => number): RateLimits => {
  const levels = new Map<string, Level>()
  const levelOf = (key: string, capacity: number, perSecond: number): Level => {
    const now = nowMs()
    const level = levels.get(key) ?? { tokens: capacity, atMs: now }
    level.tokens = Math.min(capacity, level.tokens + Math.max(0, (now - level.atMs) / 1000) * perSecond)
    level.atMs = now
    levels.set(key, level)
    return level
  }
  return {
    charge: (operation, method, subscriptionId, resourceKey) => {
      const rank = method === 'GET' ? 'reads' : method === 'DELETE' ? 'deletes' : 'writes'
      const manager = settings().buckets[managerBuckets[rank].name] ?? managerBuckets[rank]
      const perManagerSecond = manager.capacity / manager.windowSeconds
      const managerLevel = levelOf(`${subscriptionId} ${rank}`, manager.capacity, perManagerSecond)
      if (managerLevel.tokens < 1) throw managerThrottled(rank, subscriptionId)
      const drawn = (bucketsOf[operation] ?? []).map((name) => {
        const bucket = bucketNamed(name, settings())
        const key = `${subscriptionId} ${name} ${bucket.per === 'resource' ? resourceKey : ''}`
        const perSecond = bucket.capacity / bucket.windowSeconds
        const level = levelOf(key, bucket.capacity, perSecond)
        const enforced = bucket.whenSpaced !== true || settings().spacing
        if (enforced && level.tokens < 1)
          throw serviceThrottled(name, operation, Math.ceil((1 - level.tokens) / perSecond))
        return { name, level }
      })
      managerLevel.tokens -= 1
      for (const { level } of drawn) level.tokens = Math.max(0, level.tokens - 1)
      return remainingHeaders(drawn, rank, managerLevel.tokens)
    },
  }
}

const bucketNamed = (name: string, settings: EmulatorSettings): Bucket => {
  const bucket = buckets[name]
  if (bucket === undefined) throw new Error(`no bucket is called ${name}`)
  const override = settings.buckets[name]
  return override === undefined ? bucket : { per: bucket.per, ...override }
}

const remainingHeaders = (
  drawn: readonly { readonly name: string; readonly level: Level }[],
  rank: string,
  managerTokens: number,
): Record<string, string> => ({
  ...(drawn.length === 0
    ? {}
    : {
        'x-ms-ratelimit-remaining-resource': drawn
          .map(({ name, level }) => `Microsoft.Compute/${name};${Math.floor(level.tokens)}`)
          .join(','),
      }),
  [`x-ms-ratelimit-remaining-subscription-${rank}`]: String(Math.floor(managerTokens)),
})

const managerThrottled = (rank: string, subscriptionId: string): ArmError =>
  new ArmError({
    status: 429,
    code: 'SubscriptionRequestsThrottled',
    message: `Number of '${rank}' requests for subscription '${subscriptionId}' exceeded. Please try again after '1' seconds.`,
    headers: { 'Retry-After': '1' },
  })

const serviceThrottled = (bucket: string, operation: string, seconds: number): ArmError =>
  new ArmError({
    status: 429,
    code: 'OperationNotAllowed',
    message: `The server rejected the request because too many requests have been received for this subscription.`,
    details: [
      {
        code: 'TooManyRequests',
        target: bucket,
        message: JSON.stringify({ operationGroup: bucket, operationName: operation, retryAfterSeconds: seconds }),
      },
    ],
    headers: {
      'Retry-After': String(seconds),
      'x-ms-ratelimit-remaining-resource': `Microsoft.Compute/${bucket};0`,
    },
    unwrapped: true,
  })
