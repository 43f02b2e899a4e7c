import type { RecoveryPoint } from '../../../shared/domain/recovery-point.ts'
import { readRecoveryPoint } from '../../../shared/vault/recovery-points.ts'
import { createVaultKeys } from '../../../shared/vault/vault-keys.ts'
import { onlyWrapper } from '../../support/fake-key-wrapper.ts'
import { restoreDisk } from '../../support/vault-world.ts'
import { virtualClock } from '../../support/virtual-clock.ts'
import { vmKey } from './fleet.ts'
import { committedIds, type World } from './world.ts'

/** What was found out about disks before, by the objects that they were restored from. */
const known = new Map<string, string | null>()

/** What is wrong with the restores of the recovery points that have a commit record: each must give what its disks held when its restore
 * point was taken, at any moment. A disk is restored once for each state of the objects that it can come from. */
export const restoreFaults = async (world: World): Promise<readonly string[]> => {
  const faults: string[] = []
  for (const recoveryPointId of committedIds(world)) {
    const found = await readRecoveryPoint(world.vault, { vmKey, recoveryPointId })
    const disks = world.platform.model.get(recoveryPointId)
    if (found === null || disks === undefined) faults.push(`${recoveryPointId} is committed, but cannot be restored.`)
    else for (const disk of disks.keys()) faults.push(...(await faultOf(world, found.recoveryPoint, disk)))
  }
  return faults
}

const faultOf = async (world: World, recoveryPoint: RecoveryPoint, disk: string): Promise<readonly string[]> => {
  const key = `${disk} ${recoveryPoint.recoveryPointId} ${objectsOf(world, recoveryPoint.recoveryPointId)}`
  const fault = known.has(key) ? known.get(key)! : await restore(world, recoveryPoint, disk)
  known.set(key, fault)
  return fault === null ? [] : [`${disk} of ${recoveryPoint.recoveryPointId} is not restored: ${fault}.`]
}

const restore = async (world: World, recoveryPoint: RecoveryPoint, disk: string): Promise<string | null> => {
  const expected = world.platform.model.get(recoveryPoint.recoveryPointId)!.get(disk)!
  try {
    const keys = await createVaultKeys({ ...world, clock: virtualClock(), wrappers: onlyWrapper(world.wrapper) }).ring()
    return (await restoreDisk(world.vault, recoveryPoint, disk, undefined, keys)).equals(expected)
      ? null
      : 'it has other bytes'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Names and ETags of the objects of this recovery point and of those before it; an ETag is given once in a process. */
const objectsOf = ({ vault }: World, recoveryPointId: string): string =>
  [...vault.objects]
    .filter(([name]) => (/\d{8}t\d{6}z-[0-9a-f]{10}/.exec(name)?.[0] ?? '') <= recoveryPointId)
    .map(([name, { etag }]) => name + etag)
    .sort()
    .join()
