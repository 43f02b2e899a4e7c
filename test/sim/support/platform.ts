import type { SnapshotSet } from '../../../shared/ports/compute.ts'
import { type ChangeCount, countedMap } from './counted-map.ts'
import { afterGuestWrites, type Disks, emptyDisks, sampleVm } from './fleet.ts'

/** A restore target: what was written to it, in order. */
export interface Target {
  readonly jobId: string
  readonly sizeBytes: number
  readonly isOpen: boolean
  readonly hasFooter: boolean
  readonly writes: readonly { readonly offsetBytes: number; readonly bytes: Buffer }[]
}

/** The compute platform's whole state. Values are replaced, never changed in place, so a copy of the maps is a copy of the platform. */
export interface Platform {
  disks: Disks
  /** Immutable copies by resource id. */
  readonly copies: Map<string, Buffer>
  /** Live SAS URLs by resource id, each holding the secret. */
  readonly live: Map<string, string>
  readonly targets: Map<string, Target>
  /** Recovery point ids, one entry for each restore point that was ever made. */
  readonly made: string[]
  /** What each recovery point must restore to; kept beside, from the moment its restore point was made. */
  readonly model: Map<string, Disks>
  grants: number
}

/** Part of every SAS URL: it must never be found in anything that is stored or logged. */
export const secret = 'PLANTEDSECRET'

export const createPlatform = (changes: ChangeCount): Platform => ({
  disks: afterGuestWrites(emptyDisks, 0),
  copies: countedMap(changes),
  live: countedMap(changes),
  targets: countedMap(changes),
  made: [],
  model: countedMap(changes),
  grants: 0,
})

export const copyPlatform = (platform: Platform, changes: ChangeCount): Platform => ({
  ...platform,
  copies: countedMap(changes, platform.copies),
  live: countedMap(changes, platform.live),
  targets: countedMap(changes, platform.targets),
  made: [...platform.made],
  model: countedMap(changes, platform.model),
})

const copyId = (recoveryPointId: string, disk: string): string => `/restorePoints/${recoveryPointId}/${disk}`

/** The recovery points whose restore points exist. */
export const restorePointIds = (platform: Platform): readonly string[] => [
  ...new Set([...platform.copies.keys()].map((id) => id.split('/')[2]!)),
]

/** Takes a copy of all named disks at one moment, unless it is there; then the guest goes on writing. */
export const takeRestorePoint = (platform: Platform, recoveryPointId: string, disks: readonly string[]): void => {
  if (restorePointIds(platform).includes(recoveryPointId)) return
  const taken = new Map(disks.map((disk) => [disk, platform.disks.get(disk)!]))
  for (const [disk, bytes] of taken) platform.copies.set(copyId(recoveryPointId, disk), bytes)
  platform.model.set(recoveryPointId, taken)
  platform.made.push(recoveryPointId)
  platform.disks = afterGuestWrites(platform.disks, platform.made.length)
}

export const sourcesOf = (recoveryPointId: string, disks: readonly string[]): SnapshotSet => ({
  kind: 'restorePoint',
  restorePointId: `/restorePoints/${recoveryPointId}`,
  consistency: 'crash',
  takenAt: '2026-03-10T02:00:10.000Z',
  disks: disks.map((disk) => ({
    disk,
    source: {
      kind: 'diskRestorePoint',
      resourceId: copyId(recoveryPointId, disk),
      familyId: 'family',
      sourceUniqueId: sampleVm.disks.find((vmDisk) => vmDisk.disk === disk)!.uniqueId,
    },
  })),
})

/** Removes a restore point and the access to it. */
export const removeRestorePoint = (platform: Platform, recoveryPointId: string): void => {
  for (const id of [...platform.copies.keys()].filter((id) => id.split('/')[2] === recoveryPointId)) {
    platform.copies.delete(id)
    platform.live.delete(id)
  }
}

/** The live URL of a resource; a live one is extended and stays the same. */
export const grantAccess = (platform: Platform, resourceId: string): string => {
  const known = platform.live.get(resourceId)
  if (known !== undefined) return known
  platform.grants += 1
  const sasUrl = `https://disks.invalid${resourceId}?sv=1&sig=${secret}${platform.grants}`
  platform.live.set(resourceId, sasUrl)
  return sasUrl
}

/** The resource that a live URL opens; null where its access has ended. */
export const resourceOf = (platform: Platform, sasUrl: string): string | null =>
  [...platform.live].find(([, url]) => url === sasUrl)?.[0] ?? null

/** What a target disk reads as. */
export const targetBytes = (target: Target): Buffer => {
  const bytes = Buffer.alloc(target.sizeBytes)
  for (const write of target.writes) write.bytes.copy(bytes, write.offsetBytes)
  return bytes
}
