import type { KeyRing } from '../../shared/format/data-key.ts'
import type { BlobReader } from '../../shared/ports/blob-store.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { openStack, readStack } from '../../shared/vault/stack.ts'

/** Reads every byte of every disk of a recovery point from the vault, digests checked all the way, and decrypts it.
 * @returns bytes of the disks
 * @throws VaultError naming the object that is missing or damaged */
export const checkRecoveryPoint = async (
  vault: BlobReader,
  key: { readonly vmKey: string; readonly recoveryPointId: string },
  keys: KeyRing,
): Promise<number> => {
  const found = await readRecoveryPoint(vault, key)
  if (found === null) throw new Error(`The vault has no recovery point ${key.recoveryPointId} of ${key.vmKey}.`)
  let checkedBytes = 0
  for (const disk of found.recoveryPoint.disks) {
    const stack = await openStack(vault, disk, { keys })
    for await (const part of readStack(stack, { offsetBytes: 0, lengthBytes: disk.sizeBytes }))
      checkedBytes += part.lengthBytes
  }
  return checkedBytes
}
