import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { parseVaultName } from '../../shared/format/vault-name.ts'
import type { BlobReader } from '../../shared/ports/blob-store.ts'
import {
  latestReadableRecoveryPoint,
  latestRecoveryPoint,
  type RecoveryPointKey,
  readRecoveryPoint,
} from '../../shared/vault/recovery-points.ts'
import { earlierRevision, nextIsFull } from './damaged-record.ts'
import { hasRecoveryPoints, unknownVm } from './known-vm.ts'
import { notFound, ProblemError } from './problem.ts'

/** The recovery point that a request names. Where its record cannot be read the request is refused: an older one is never taken in its place
 * without a word, as whoever restores would take it for the newest.
 * @param asked `recoveryPointId` may be `latest`
 * @throws ProblemError 404 where there is none, 409 where its record is damaged or of a later format */
export const askedRecoveryPoint = async (vault: BlobReader, asked: RecoveryPointKey): Promise<RecoveryPoint> => {
  const found = await (asked.recoveryPointId === 'latest'
    ? latestRecoveryPoint(vault, asked.vmKey)
    : readRecoveryPoint(vault, asked)
  ).catch(async (error: unknown) => {
    throw error instanceof VaultError ? await unreadable(vault, asked, error) : error
  })
  if (found !== null) return found.recoveryPoint
  if (!(await hasRecoveryPoints(vault, asked.vmKey))) throw unknownVm(asked.vmKey)
  throw notFound(
    'recoveryPointId',
    'The vault has no such recovery point of this VM.',
    `Take one from GET vms/${asked.vmKey}/recovery-points.`,
  )
}

/** 409: the release is too old for the record. */
export const newerFormat = (recoveryPointId: string, nothing: string, fix: string): ProblemError =>
  new ProblemError({
    status: 409,
    code: 'newer-format',
    title: 'The recovery point is of a later format.',
    detail: `This release cannot read the record of ${recoveryPointId}. ${nothing} ${fix}`,
    errors: [
      { field: 'recoveryPointId', detail: 'Its record is of a later format.', fix: 'Use the release that wrote it.' },
    ],
  })

const unreadable = async (vault: BlobReader, asked: RecoveryPointKey, error: VaultError): Promise<ProblemError> => {
  const parsed = parseVaultName(error.fault.name)
  const recoveryPointId = parsed.kind === 'recoveryPoint' ? parsed.recoveryPointId : asked.recoveryPointId
  if (error.fault.code === 'unsupported-version')
    return newerFormat(recoveryPointId, 'Nothing was started.', 'Restore it by the release that wrote it.')
  const sound = await newestSound(vault, asked.vmKey)
  const earlier = await earlierRevision(vault, { vmKey: asked.vmKey, recoveryPointId }, error)
  const others =
    sound === null
      ? `The VM has no other recovery point whose record can be read. ${nextIsFull}`
      : `The newest one whose record can be read is ${sound.recoveryPointId}, taken at ${sound.takenAt}: to restore that one instead, ask for it by its id.`
  const fix = earlier === '' ? others : `${earlier} ${others}`
  return new ProblemError({
    status: 409,
    code: 'damaged-recovery-point',
    title: 'The record of the recovery point is damaged.',
    detail: `${error.message} So ${recoveryPointId} cannot be restored as it is. Nothing was started. ${error.hint} ${fix}`,
    errors: [{ field: 'recoveryPointId', detail: `The record of ${recoveryPointId} is damaged.`, fix }],
    hint: `${error.hint} ${fix}`,
    more: { damagedRecoveryPointId: recoveryPointId, newestReadableRecoveryPointId: sound?.recoveryPointId ?? null },
  })
}

/** Null also where a record of a later format stands before it: what there is to restore is then for another release to say. */
const newestSound = async (vault: BlobReader, vmKey: string): Promise<RecoveryPoint | null> => {
  try {
    return (await latestReadableRecoveryPoint(vault, vmKey)).found?.recoveryPoint ?? null
  } catch (error) {
    if (error instanceof VaultError) return null
    throw error
  }
}
