import { VaultError } from '../../shared/format/vault-error.ts'
import { parseVaultName } from '../../shared/format/vault-name.ts'
import type { BlobReader } from '../../shared/ports/blob-store.ts'
import { type RecoveryPointKey, readRevision } from '../../shared/vault/recovery-points.ts'

/** What holds wherever the newest record is damaged, as a backup builds on nothing that it cannot read. */
export const nextIsFull =
  'The next backup of the VM (POST backups) does not build on it: without another recovery point that can be read it is a full one.'

/** Names the newest whole revision below the damaged one, by which the disks can still be restored outside of the app; empty where there is none. The app
 * itself never goes by an earlier revision: the newest may have ended the recovery point. */
export const earlierRevision = async (vault: BlobReader, key: RecoveryPointKey, error: VaultError): Promise<string> => {
  const damaged = parseVaultName(error.fault.name)
  if (damaged.kind !== 'recoveryPoint') return ''
  for (let revision = damaged.revision - 1; revision >= 1; revision -= 1)
    if (await isWhole(vault, key, revision))
      return `Its revision ${revision} is whole: the program in reader/ restores by it from a copy of the vault without ${error.fault.name}, as far as that revision's layers are still there.`
  return ''
}

const isWhole = async (vault: BlobReader, key: RecoveryPointKey, revision: number): Promise<boolean> => {
  try {
    const found = await readRevision(vault, key, revision, {})
    return found !== null && 'disks' in found.record
  } catch (error) {
    if (error instanceof VaultError) return false
    throw error
  }
}
