import * as v from 'valibot'
import { VaultError } from '../../shared/format/vault-error.ts'
import type { BlobReader } from '../../shared/ports/blob-store.ts'
import { expireRecoveryPoint } from '../../shared/vault/expire-recovery-points.ts'
import { giveUpLost } from '../../shared/vault/lost-records.ts'
import { listRecoveryPoints, type RecoveryPointKey, readRevision } from '../../shared/vault/recovery-points.ts'
import { newerFormat } from './asked-recovery-point.ts'
import { type Endpoint, json } from './endpoint.ts'
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
      if (asked === undefined || state === 'aborted') throw unknownPoint(key)
      if (state === 'newer-format')
        throw newerFormat(recoveryPointId, 'Nothing was changed.', 'End it by the release that wrote it.')
      if (state === 'expired') return json(200, { ...key, result: 'already-expired' })
      const others = listed.filter((entry) => entry !== asked)
      if (!evenIfLast && !(await hasLive(deps.vault, vmKey, others))) throw lastPoint(key)
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

/** Looks at the newest first, which mostly is one. */
const hasLive = async (vault: BlobReader, vmKey: string, listed: readonly Listed[]): Promise<boolean> => {
  for (const entry of listed.toReversed()) if ((await stateOf(vault, vmKey, entry)) === 'live') return true
  return false
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
