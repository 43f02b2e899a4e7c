import * as v from 'valibot'
import { VaultError } from '../../shared/format/vault-error.ts'
import type { BlobReader } from '../../shared/ports/blob-store.ts'
import { expireRecoveryPoint } from '../../shared/vault/expire-recovery-points.ts'
import { giveUpLost } from '../../shared/vault/lost-records.ts'
import { listRecoveryPoints, type RecoveryPointKey, readRevision } from '../../shared/vault/recovery-points.ts'
import type { Services } from '../services.ts'
import { newerFormat } from './asked-recovery-point.ts'
import { type Endpoint, json } from './endpoint.ts'
import { knownDamage } from './known-damage.ts'
import { unknownVm } from './known-vm.ts'
import { idParameter } from './parameters.ts'
import { notFound, ProblemError } from './problem.ts'
import { readBody } from './request-body.ts'

const requestSchema = v.strictObject({
  /** End it though the VM has no other one that can be restored. */
  evenIfLast: v.optional(v.boolean('Expected true or false.'), false),
})

/** POST: ends one recovery point by hand, also one whose record is damaged or gone. The body may be empty. Key: the recovery point; repeatable. */
export const expireRecoveryPointNow: Endpoint = {
  name: 'expireRecoveryPointNow',
  route: 'vms/{vmKey}/recovery-points/{recoveryPointId}/expire',
  methods: {
    POST: async ({ request, deps, events }) => {
      const vmKey = idParameter(request, 'vmKey')
      const recoveryPointId = idParameter(request, 'recoveryPointId')
      const { evenIfLast } = await readBody(request, requestSchema, '{}')
      const key = { vmKey, recoveryPointId }
      const listed: Listed[] = []
      for await (const entry of listRecoveryPoints(deps.vault, vmKey)) listed.push(entry)
      const asked = listed.find((entry) => entry.recoveryPointId === recoveryPointId)
      if (asked === undefined && (await giveUpLost(deps, key)) === 'given-up')
        return json(200, { ...key, result: 'expired' })
      const state = asked === undefined ? 'aborted' : await stateOf(deps.vault, vmKey, asked)
      if (listed.length === 0) throw unknownVm(vmKey)
      if (asked === undefined || state === 'aborted') throw unknownPoint(key)
      if (state === 'newer-format')
        throw newerFormat(recoveryPointId, 'Nothing was changed.', 'End it by the release that wrote it.')
      if (state === 'expired') return json(200, { ...key, result: 'already-expired' })
      if (!evenIfLast) await refuseLast(deps, key, listed)
      await expireRecoveryPoint(deps.vault, { ...key, revision: asked.revision })
      events.recoveryPointExpired(key)
      return json(200, { ...key, result: 'expired' })
    },
  },
}

interface Listed {
  readonly recoveryPointId: string
  readonly revision: number
}

type State = 'live' | 'expired' | 'aborted' | 'damaged' | 'newer-format'

/** What its newest revision says. A record that is gone since it was listed has expired, as nothing else is removed. */
const stateOf = async (vault: BlobReader, vmKey: string, { recoveryPointId, revision }: Listed): Promise<State> => {
  try {
    const found = await readRevision(vault, { vmKey, recoveryPointId }, revision, {})
    if (found === null) return 'expired'
    if ('disks' in found.record) return 'live'
    return 'aborted' in found.record ? 'aborted' : 'expired'
  } catch (error) {
    if (!(error instanceof VaultError)) throw error
    return error.fault.code === 'unsupported-version' ? 'newer-format' : 'damaged'
  }
}

/** Nothing else of the VM may be restorable, or nothing else may be whole where the one that is asked for is, as far as is known.
 * @throws ProblemError 409 */
const refuseLast = async (
  deps: Pick<Services, 'control' | 'vault'>,
  key: RecoveryPointKey,
  listed: readonly Listed[],
): Promise<void> => {
  const damaged = await knownDamage(deps, key.vmKey)
  const isWhole = (recoveryPointId: string): boolean => damaged(recoveryPointId)?.length === 0
  let hasLive = false
  // The newest first: mostly it settles the question.
  for (const other of listed.toReversed()) {
    if (other.recoveryPointId === key.recoveryPointId) continue
    if ((await stateOf(deps.vault, key.vmKey, other)) !== 'live') continue
    if (isWhole(other.recoveryPointId) || !isWhole(key.recoveryPointId)) return
    hasLive = true
  }
  throw hasLive ? lastWhole(key) : lastPoint(key)
}

const unknownPoint = ({ vmKey, recoveryPointId }: RecoveryPointKey): ProblemError =>
  notFound(
    'recoveryPointId',
    'The vault has no such recovery point of this VM.',
    recoveryPointId === 'latest'
      ? `Name it by its id, as GET vms/${vmKey}/recovery-points shows it: nothing is ended by a name that may mean another one a moment later.`
      : `Take one from GET vms/${vmKey}/recovery-points.`,
  )

const lastPoint = ({ vmKey, recoveryPointId }: RecoveryPointKey): ProblemError =>
  new ProblemError({
    status: 409,
    code: 'last-recovery-point',
    title: 'The VM has no other recovery point.',
    detail: `Without ${recoveryPointId} nothing of ${vmKey} could be restored. Nothing was changed. Back the VM up first, or send {"evenIfLast": true}.`,
    errors: [
      {
        field: 'evenIfLast',
        detail: 'No other recovery point of the VM can be restored.',
        fix: 'Back the VM up first, or set it to true.',
      },
    ],
  })

const lastWhole = ({ vmKey, recoveryPointId }: RecoveryPointKey): ProblemError =>
  new ProblemError({
    status: 409,
    code: 'last-recovery-point',
    title: 'All other recovery points of the VM are damaged.',
    detail: `Without ${recoveryPointId} some disks of ${vmKey} could not be restored whole, as GET damage tells. Nothing was changed. Back the VM up first, or send {"evenIfLast": true}.`,
    errors: [
      {
        field: 'evenIfLast',
        detail: 'All other recovery points of the VM are known to be damaged.',
        fix: 'Back the VM up first, or set it to true.',
      },
    ],
  })
