import type { JobDeps } from '../../../shared/jobs/job-deps.ts'
import type { VmSnapshots } from '../../../shared/ports/compute.ts'
import { sampleVm, vmId } from './fleet.ts'
import {
  grantAccess,
  removeRestorePoint,
  restorePointIds,
  sourcesOf,
  type Target,
  takeRestorePoint,
} from './platform.ts'
import type { Watch } from './watch.ts'
import { committedIds, type World } from './world.ts'

/** The compute ports over the platform in memory; each call passes the watch. */
export const computePorts = (
  world: World,
  watch: Watch,
): Pick<JobDeps, 'access' | 'inventory' | 'restoreDisks' | 'snapshots'> => {
  const { platform } = world
  const around = <T>(operation: string, name: string, act: () => T) =>
    watch({ port: 'compute', operation, name }, act) as Promise<Awaited<T>>
  return {
    inventory: {
      find: (id) => around('find', 'vm', () => (id.toLowerCase() === vmId.toLowerCase() ? sampleVm : null)),
      async *select(_selection, isWanted = async () => true) {
        for (const vm of await around('select', 'vms', () => [sampleVm])) {
          const isLate = world.lateLooks > 0
          if (isLate) world.lateLooks -= 1
          if (isLate || (await isWanted(vm.vmId))) yield vm
        }
      },
    },
    snapshots: { restorePoints: restorePoints(world, around), diskSnapshots: noDiskSnapshots(around) },
    access: {
      grantRead: (id) =>
        around('grantRead', id, () =>
          platform.copies.has(id)
            ? ({ kind: 'granted', sasUrl: grantAccess(platform, id) } as const)
            : ({ kind: 'failed', reason: 'not-found', message: 'There is no such copy.', hint: 'None.' } as const),
        ),
      revoke: (id) =>
        around('revoke', id, () => {
          platform.live.delete(id)
          return { kind: 'revoked' } as const
        }),
      exists: (id) => around('exists', id, () => platform.copies.has(id)),
      forget: () => undefined,
    },
    restoreDisks: restoreDisks(world, around),
  }
}

type Around = <T>(operation: string, name: string, act: () => T) => Promise<Awaited<T>>

const restorePoints = (world: World, around: Around): VmSnapshots => ({
  ensure: ({ recoveryPointId, disks }) =>
    around('ensure', recoveryPointId, () => {
      takeRestorePoint(world.platform, recoveryPointId, disks)
      return { kind: 'ready', snapshots: sourcesOf(recoveryPointId, disks) } as const
    }),
  release: (_vm, keep) =>
    around('release', keep.join(), () => {
      const gone = restorePointIds(world.platform).filter((id) => !keep.includes(id))
      for (const id of gone) noteEarlyRelease(world, id)
      for (const id of gone) removeRestorePoint(world.platform, id)
      return { kind: 'released', removed: gone.length } as const
    }),
})

/** A restore point is needed until a later recovery point is committed. */
const noteEarlyRelease = (world: World, recoveryPointId: string): void => {
  if (!committedIds(world).some((committed) => committed > recoveryPointId))
    world.broken.push(
      `The restore point of ${recoveryPointId} was removed before a later recovery point was committed.`,
    )
}

const noDiskSnapshots = (around: Around): VmSnapshots => ({
  ensure: () => around('ensureSnapshots', 'none', () => Promise.reject(new Error('No job of this world takes these.'))),
  release: () => around('releaseSnapshots', 'none', () => ({ kind: 'released', removed: 0 }) as const),
})

const restoreDisks = (world: World, around: Around): JobDeps['restoreDisks'] => {
  const { targets, live } = world.platform
  const refuse = (reason: string) => ({ kind: 'failed', reason, message: `It is ${reason}.`, hint: 'None.' }) as const
  return {
    open: ({ diskId, sizeBytes, jobId }) =>
      around('open', diskId, () => {
        const known: Target = targets.get(diskId) ?? { jobId, sizeBytes, isOpen: true, hasFooter: false, writes: [] }
        if (known.jobId !== jobId) return refuse('of another job')
        if (!known.isOpen) return refuse('no upload any more')
        targets.set(diskId, known)
        return { kind: 'open', sasUrl: grantAccess(world.platform, diskId) } as const
      }),
    finish: (diskId, jobId) =>
      around('finish', diskId, () => {
        const known = targets.get(diskId)
        if (known !== undefined && known.jobId !== jobId) return refuse('of another job')
        live.delete(diskId)
        if (known !== undefined) targets.set(diskId, { ...known, isOpen: false })
        return { kind: 'finished' } as const
      }),
  }
}
