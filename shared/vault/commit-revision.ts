import type { CommittedDisk, LayerReference, RecoveryPoint } from '../domain/recovery-point.ts'
import { recoveryPointName } from '../format/names.ts'
import { encodeSealedJson } from '../format/sealed-json.ts'
import type { BlobCreator, CallOptions } from '../ports/blob-store.ts'
import { merkleRootOf } from './recovery-point-schema.ts'
import { type RecoveryPointKey, readRevision } from './recovery-points.ts'

/** Layers of one disk, neighbours in its stacks, and the layer that shows the same. */
export interface Replacement {
  readonly disk: string
  /** Newest first. */
  readonly from: readonly LayerReference[]
  readonly to: LayerReference
  /** Only good where the last of `from` lies on nothing. */
  readonly isLowest: boolean
}

/** `lost`: this revision is another's, or its predecessor ended the recovery point or is gone, or none of the layers to be replaced is in its
 * stacks; nothing was changed. */
export type RevisionOutcome =
  | { readonly kind: 'committed'; readonly recoveryPoint: RecoveryPoint }
  | { readonly kind: 'lost' }

/** Points a recovery point to layers of equal content, by creating its next revision; everything else in it stays. Key: (vmKey,
 * recoveryPointId, revision): exactly one creator wins, and a repeated call finds its own. The caller has proven that each replacement is
 * equal; those whose layers this recovery point does not have are passed over. With none given the revision repeats the one before, which
 * keeps everybody else from creating it.
 * @param revision the one to create; the one before must be there
 * @throws VaultError where the record before is damaged */
export const commitRevision = async (
  vault: BlobCreator,
  key: RecoveryPointKey & { readonly revision: number },
  replacements: readonly Replacement[],
  options: CallOptions = {},
): Promise<RevisionOutcome> => {
  const before = await readRevision(vault, key, key.revision - 1, options)
  if (before === null || !('disks' in before.record)) return { kind: 'lost' }
  const next = revise(before.record, replacements)
  if (next === null) return { kind: 'lost' }
  const name = recoveryPointName(key.vmKey, key.recoveryPointId, key.revision)
  const bytes = encodeSealedJson(next)
  if ((await vault.create(name, [bytes], options)) === 'exists') {
    const winner = await vault.read(name, options)
    if (winner === null || !bytes.equals(winner.bytes)) return { kind: 'lost' }
  }
  return { kind: 'committed', recoveryPoint: next }
}

/** Null where replacements are given and none fits. */
const revise = (record: RecoveryPoint, replacements: readonly Replacement[]): RecoveryPoint | null => {
  const disks = record.disks.map((disk) => ({ ...disk, stack: replaceIn(disk, replacements) }))
  const isChanged = disks.some(({ stack }, index) => stack !== record.disks[index]?.stack)
  if (replacements.length > 0 && !isChanged) return null
  return { ...record, revision: record.revision + 1, merkleRoot: merkleRootOf(disks), disks }
}

/** The stack itself where nothing in it is replaced. */
const replaceIn = (of: CommittedDisk, replacements: readonly Replacement[]): CommittedDisk['stack'] => {
  let { stack } = of
  for (const { disk, from, to, isLowest } of replacements) {
    const at = disk === of.disk ? placeIn(stack, from) : -1
    const end = at + from.length
    if (at === -1 || (isLowest && end !== stack.length)) continue
    stack = [...stack.slice(0, at), to, ...stack.slice(end)]
  }
  return stack
}

/** Where the layers stand next to each other in the stack; -1 where they do not.
 * @param layers at least one */
export const placeIn = (stack: readonly LayerReference[], layers: readonly LayerReference[]): number => {
  const at = stack.findIndex(({ layerId }) => layerId === layers[0]?.layerId)
  const isSame = ({ layerId, digest }: LayerReference, index: number): boolean => {
    const found = stack[at + index]
    return found?.layerId === layerId && found.digest === digest
  }
  return at !== -1 && layers.every(isSame) ? at : -1
}
