import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ArmDiskAccess } from '../../shared/azure/arm-disk-access.ts'
import type { Pending } from '../../shared/domain/job-ref.ts'
import type { VmDescription } from '../../shared/domain/vm.ts'
import type { RestoreDisks, SnapshotSet, VmInventory, VmSnapshots } from '../../shared/ports/compute.ts'

/** A platform with one running VM that may be backed up, and the adapters to test. */
export interface ComputeUnderTest {
  readonly vmId: string
  readonly inventory: VmInventory
  readonly access: ArmDiskAccess
  readonly restorePoints: VmSnapshots
  readonly diskSnapshots: VmSnapshots
  readonly restoreDisks: RestoreDisks
  /** Id of a disk that does not exist, where one may be made. */
  readonly newDiskId: string
  /** Shortest wait between two questions; the platform's own waits are cut to this. */
  readonly pauseMs: number
  close(): Promise<void>
}

/** Asks again, as an orchestration does, until there is an answer. */
export const settled = async <T extends { readonly kind: string }>(
  pauseMs: number,
  ask: () => Promise<T>,
): Promise<Exclude<T, Pending>> => {
  const endsAt = Date.now() + 600_000
  for (;;) {
    const answer = await ask()
    if (answer.kind !== 'pending') return answer as Exclude<T, Pending>
    if (Date.now() > endsAt) throw new Error('still pending after ten minutes')
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

const bytesAt = async (sasUrl: string, lengthBytes: number): Promise<number> => {
  const response = await fetch(sasUrl, { headers: { range: `bytes=0-${lengthBytes - 1}` } })
  const body = await response.arrayBuffer()
  return response.status === 206 ? body.byteLength : -response.status
}

/** What shared/ports/compute.ts promises, on any platform that has a VM to spare. It leaves nothing behind. */
export const computeContract = (title: string, open: () => Promise<ComputeUnderTest>): void => {
  describe(title, () => {
    let under: ComputeUnderTest
    let vm: VmDescription
    beforeAll(async () => {
      under = await open()
      const found = await under.inventory.find(under.vmId)
      if (found === null) throw new Error('the VM to test with does not exist')
      vm = found
    })
    afterAll(async () => under?.close())

    describe('the inventory', () => {
      it('describes a VM with the exact size and the unique id of each disk, the OS disk first', () => {
        expect(vm.disks[0]?.disk).toBe('os')
        for (const disk of vm.disks) {
          expect(disk.sizeBytes % 512).toBe(0)
          expect(disk.sizeBytes).toBeGreaterThan(0)
          expect(disk.uniqueId).not.toBe('')
          expect(disk.diskId).toMatch(/\/disks\/[^/]+$/i)
        }
      })
      it('finds nothing where there is no such VM', async () => {
        expect(await under.inventory.find(`${under.vmId}-absent`)).toBeNull()
      })
      it('selects the same description by subscription and resource group', async () => {
        const subscriptionId = under.vmId.split('/')[2] ?? ''
        const selected: VmDescription[] = []
        for await (const one of under.inventory.select({
          subscriptionIds: [subscriptionId],
          resourceGroups: [vm.resourceGroup],
        }))
          selected.push(one)
        expect(selected.find(({ vmKey }) => vmKey === vm.vmKey)?.disks).toEqual(vm.disks)
      })
    })

    const sources: readonly ['restorePoints' | 'diskSnapshots', SnapshotSet['kind']][] = [
      ['restorePoints', 'restorePoint'],
      ['diskSnapshots', 'diskSnapshots'],
    ]
    describe.each(sources)('%s', (source, kind) => {
      const recoveryPointId = `20261122t020000z-${Math.random().toString(16).slice(2).padEnd(10, '0').slice(0, 10)}`
      const ensure = () =>
        settled(under.pauseMs, () =>
          under[source].ensure({ vm, recoveryPointId, consistency: 'crash', disks: [vm.disks[0]?.disk ?? ''] }),
        )
      let taken: SnapshotSet

      it('are begun, not waited for: the first answer is pending', async () => {
        const first = await under[source].ensure({
          vm,
          recoveryPointId,
          consistency: 'crash',
          disks: [vm.disks[0]?.disk ?? ''],
        })
        expect(first).toEqual({ kind: 'pending', retryAfterSeconds: expect.any(Number) })
      })
      it('hold the wanted disk and no other, with the disk’s unique id', async () => {
        const ensured = await ensure()
        if (ensured.kind !== 'ready') throw new Error(JSON.stringify(ensured))
        taken = ensured.snapshots
        expect(taken.kind).toBe(kind)
        expect(taken.consistency).toBe('crash')
        expect(taken.disks.map(({ disk }) => disk)).toEqual([vm.disks[0]?.disk])
        expect(taken.disks[0]?.source.sourceUniqueId).toBe(vm.disks[0]?.uniqueId)
        expect(taken.disks[0]?.source.familyId).not.toBeNull()
      })
      it('are found again, not made again', async () => {
        expect(await ensure()).toEqual({ kind: 'ready', snapshots: taken })
      })
      it('can be read by the URL that access grants', async () => {
        const id = taken.disks[0]?.source.resourceId ?? ''
        expect(await under.access.exists(id)).toBe(true)
        const granted = await settled(under.pauseMs, () => under.access.grantRead(id, 3600, 10_000))
        if (granted.kind !== 'granted') throw new Error(JSON.stringify(granted))
        expect(await bytesAt(granted.sasUrl, 4096)).toBe(4096)
        expect(await under.access.grantRead(id, 3600, 0)).toEqual(granted)
      })
      it('cannot be read any more once access is revoked', async () => {
        const id = taken.disks[0]?.source.resourceId ?? ''
        const granted = await settled(under.pauseMs, () => under.access.grantRead(id, 3600, 10_000))
        if (granted.kind !== 'granted') throw new Error(JSON.stringify(granted))
        expect(await settled(under.pauseMs, () => under.access.revoke(id))).toEqual({ kind: 'revoked' })
        expect(await bytesAt(granted.sasUrl, 4096)).toBe(-403)
        expect(await settled(under.pauseMs, () => under.access.revoke(id))).toEqual({ kind: 'revoked' })
      })
      it('stay while they are to be kept', async () => {
        const released = await settled(under.pauseMs, () => under[source].release(vm, [recoveryPointId]))
        expect(released.kind).toBe('released')
        expect(await under.access.exists(taken.disks[0]?.source.resourceId ?? '')).toBe(true)
      })
      it('are gone after their release, a live access notwithstanding', async () => {
        const id = taken.disks[0]?.source.resourceId ?? ''
        await settled(under.pauseMs, () => under.access.grantRead(id, 3600, 10_000))
        const released = await settled(under.pauseMs, () => under[source].release(vm, []))
        expect(released.kind).toBe('released')
        expect(await under.access.exists(id)).toBe(false)
        expect(await settled(under.pauseMs, () => under.access.revoke(id))).toEqual({ kind: 'revoked' })
        expect(await under.access.grantRead(id, 3600, 10_000)).toMatchObject({ kind: 'failed', reason: 'source-gone' })
      })
    })

    describe('a disk to restore into', () => {
      const request = (jobId: string) => ({
        diskId: under.newDiskId,
        location: vm.location,
        sizeBytes: 24 * 1024 * 1024,
        sku: 'Standard_LRS',
        osType: null,
        hyperVGeneration: null,
        zones: [],
        tags: { purpose: 'contract-test' },
        jobId,
      })
      it('is made for its job alone, and given again to the same job', async () => {
        const opened = await settled(under.pauseMs, () => under.restoreDisks.open(request('job-1'), 10_000))
        if (opened.kind !== 'open') throw new Error(JSON.stringify(opened))
        expect(await under.restoreDisks.open(request('job-1'), 0)).toEqual(opened)
        const other = await settled(under.pauseMs, () => under.restoreDisks.open(request('job-2'), 10_000))
        expect(other).toMatchObject({ kind: 'failed', reason: 'disk-exists' })
      })
    })
  })
}
