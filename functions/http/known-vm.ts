import type { BlobReader } from '../../shared/ports/blob-store.ts'
import { listRecoveryPoints } from '../../shared/vault/recovery-points.ts'
import { notFound, type ProblemError } from './problem.ts'

/** True where the vault has any record of the VM, be it of one that has ended. */
export const hasRecoveryPoints = async (vault: BlobReader, vmKey: string): Promise<boolean> => {
  for await (const _ of listRecoveryPoints(vault, vmKey)) return true
  return false
}

/** 404: the vault has nothing of the VM. */
export const unknownVm = (vmKey: string): ProblemError =>
  notFound(
    'vmKey',
    `The vault has no recovery point of ${vmKey}.`,
    'Take a key from GET vms, where notSelected names also deleted VMs that the vault holds; back a VM up that has no recovery point.',
  )
