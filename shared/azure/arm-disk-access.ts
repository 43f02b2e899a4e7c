import type { Pending } from '../domain/job-ref.ts'
import type { DiskAccess } from '../ports/compute.ts'
import { grantAccess, revokeAccess } from './arm-access.ts'
import { askArm } from './arm-answers.ts'
import type { ArmClients } from './arm-clients.ts'
import { thrownInstead } from './arm-error.ts'
import { createFlights } from './flights.ts'
import { createGrantMemory } from './grant-memory.ts'
import { parseResourceId } from './resource-id.ts'

/** DiskAccess with its memory made visible. */
export interface ArmDiskAccess extends DiskAccess {
  /** Drops what is remembered of a source, so that the next `grantRead` asks the platform. For use after a reader met
   * `access-ended`: the URL in memory was revoked by somebody else. */
  forget(resourceId: string): void
}

/** How long a revoke is waited for before it is reported as pending. */
const revokeWaitMs = 10_000
/** What a caller is told to wait while an operation is under way. */
const againSeconds = 2

/** Access to snapshots, disk restore points and disks by ARM id. URLs are kept in memory only, until shortly before they expire;
 * several callers of one source share one request. Restore points are given the same URL again by the platform. */
export const createArmDiskAccess = (clients: ArmClients, nowMs: () => number = Date.now): ArmDiskAccess => {
  const memory = createGrantMemory(nowMs)
  const granting = createFlights<Awaited<ReturnType<typeof grantAccess>>>()
  const revoking = createFlights<Awaited<ReturnType<typeof revokeAccess>>>()
  const grant = async (resourceId: string, durationSeconds: number) => {
    const askedAtMs = nowMs()
    const granted = await grantAccess(clients, resourceId, 'Read', durationSeconds)
    if (granted.kind === 'granted') memory.keep(resourceId, granted.sasUrl, askedAtMs, durationSeconds)
    return granted
  }
  return {
    grantRead: async (resourceId, durationSeconds, waitMs) => {
      const sasUrl = memory.fresh(resourceId)
      if (sasUrl !== null) return { kind: 'granted', sasUrl }
      const begin = () => grant(resourceId, durationSeconds)
      return (await granting.join(resourceId.toLowerCase(), waitMs, begin)) ?? underWay
    },
    revoke: async (resourceId) => {
      memory.drop(resourceId)
      const begin = () => revokeAccess(clients, resourceId)
      const ended = await revoking.join(resourceId.toLowerCase(), revokeWaitMs, begin)
      // A grant that was under way meanwhile is revoked too.
      memory.drop(resourceId)
      return ended ?? underWay
    },
    exists: (resourceId) => resourceExists(clients, resourceId),
    forget: memory.drop,
  }
}

const underWay: Pending = { kind: 'pending', retryAfterSeconds: againSeconds }

/** @throws ArmError where the platform gives no clear answer: a source must not count as gone because of a fault */
const resourceExists = async (clients: ArmClients, resourceId: string): Promise<boolean> => {
  const resource = parseResourceId(resourceId)
  if (resource === null) return false
  const client = clients.forSubscription(resource.subscriptionId)
  const { resourceGroup, name } = resource
  const answer = await askArm<unknown>(() => {
    if (resource.kind === 'diskRestorePoint')
      return client.diskRestorePoint.get(resourceGroup, resource.collection, resource.restorePoint, name)
    return resource.kind === 'snapshot'
      ? client.snapshots.get(resourceGroup, name)
      : client.disks.get(resourceGroup, name)
  })
  if (answer.kind === 'answered') return true
  if (answer.kind === 'absent') return false
  throw thrownInstead(answer)
}
