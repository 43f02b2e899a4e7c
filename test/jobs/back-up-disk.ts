import { expect } from 'vitest'
import { backupJobOf, defaultChoices } from '../../shared/domain/policy.ts'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import type { VmDescription } from '../../shared/domain/vm.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, sampleVm, vmId } from './world.ts'

const pageBytes = 4096

/** A sample VM with the disk `os` alone. */
export const vmOfOneDisk = (id = vmId): VmDescription => {
  const vm = sampleVm(id)
  return { ...vm, disks: vm.disks.filter(({ disk }) => disk === 'os') }
}

/** Runs a backup of a VM's one disk, with these bytes on it, on one of ten days of a month; it is the only VM of the platform meanwhile.
 * @throws Error with the outcome where it does not complete */
export const backUpDisk = async (
  world: FakeWorld,
  vm: VmDescription,
  bytes: Buffer,
  day = 0,
  choices: Partial<typeof defaultChoices> = {},
): Promise<RecoveryPoint> => {
  const instances = fakeInstances()
  const at = new Date(`2026-03-1${day}T02:00:00.000Z`)
  const asked = { trigger: 'onDemand', policy: null, at, cause: vm.name, now: at, windowHours: 24 } as const
  world.platform.vms = [{ ...vm, disks: vm.disks.map((disk) => ({ ...disk, sizeBytes: bytes.length })) }]
  world.platform.disks.set('os', Buffer.from(bytes))
  await startJob({ ...world, instances }, backupJobOf(vm, { ...defaultChoices, ...choices }, asked))
  const [claim] = instances.started
  if (claim === undefined) throw new Error('no backup began')
  const { outcome } = await runJob(world, claim)
  if (outcome?.kind !== 'completed') throw new Error(`the backup did not complete: ${JSON.stringify(outcome)}`)
  const key = { vmKey: vm.vmKey, recoveryPointId: claim.job.recoveryPointId }
  return (await readRecoveryPoint(world.vault, key))?.recoveryPoint ?? expect.unreachable()
}

/** The same disk with pages that were written later. */
export const withPagesWritten = (before: Buffer, ...numbers: readonly number[]): Buffer => {
  const bytes = Buffer.from(before)
  for (const number of numbers) bytes.fill('written later ', number * pageBytes, (number + 1) * pageBytes)
  return bytes
}
