import * as v from 'valibot'
import { compareJobIdOf } from '../../shared/domain/ids.ts'
import type { CompareJob } from '../../shared/domain/job.ts'
import type { CommittedDisk, RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { goneSources } from '../../shared/jobs/plan-comparison.ts'
import { diskLabelSchema } from '../../shared/jobs/policies.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { askedRecoveryPoint } from './asked-recovery-point.ts'
import { type Call, type Endpoint, json } from './endpoint.ts'
import { idParameter } from './parameters.ts'
import { notFound, ProblemError } from './problem.ts'
import { readBody } from './request-body.ts'
import { acceptedHeaders, busyProblem, startedJob, statusUrl } from './started-job.ts'

/** A disk of 32 TiB has two million windows. */
const oneInMax = 10_000
const expectedOneIn = `Expected a whole number from 1 to ${oneInMax}.`

const disksText = 'Expected a list such as ["os", "lun-1"].'

const requestSchema = v.strictObject({
  /** All of the recovery point where absent. */
  disks: v.optional(
    v.pipe(
      v.array(diskLabelSchema, disksText),
      v.minLength(1, `${disksText} Leave the field out for all disks.`),
      v.maxLength(65),
    ),
  ),
  /** One in so many windows of 16 MiB is compared. */
  oneIn: v.optional(
    v.pipe(
      v.number(expectedOneIn),
      v.integer(expectedOneIn),
      v.minValue(1, expectedOneIn),
      v.maxValue(oneInMax, expectedOneIn),
    ),
    1,
  ),
})

type CompareRequest = v.InferOutput<typeof requestSchema>

/** POST: compares a recovery point with the platform's copies that it was made from, in a job of its own. The body may be empty. */
export const compareRecoveryPoint: Endpoint = {
  name: 'compareRecoveryPoint',
  route: 'vms/{vmKey}/recovery-points/{recoveryPointId}/compare',
  methods: {
    POST: async (call) => {
      const vmKey = idParameter(call.request, 'vmKey')
      const asked = { vmKey, recoveryPointId: idParameter(call.request, 'recoveryPointId') }
      const request = await readBody(call.request, requestSchema, '{}')
      const recoveryPoint = await askedRecoveryPoint(call.deps.vault, asked)
      const disks = askedDisks(recoveryPoint, request)
      const gone = await goneSources(call.deps, disks)
      if (gone.length > 0) throw sourcesGone(recoveryPoint, gone, asked.recoveryPointId === 'latest')
      const comparison = jobOf(call, recoveryPoint, disks, request)
      const outcome = await startJob(call.deps, comparison)
      if (outcome.kind === 'busy') throw busyProblem(call, outcome.running)
      if (outcome.kind === 'already')
        return json(202, { jobId: outcome.jobId, statusUrl: statusUrl(call, outcome.jobId) })
      const job = await startedJob(call, outcome, comparison)
      const { recoveryPointId, oneIn, deadline } = comparison
      const answer = { ...job, vmKey, recoveryPointId, disks: comparison.disks, oneIn, deadline }
      return json(202, answer, acceptedHeaders(job))
    },
  },
}

const askedDisks = ({ disks }: RecoveryPoint, request: CompareRequest): readonly CommittedDisk[] => {
  if (request.disks === undefined) return disks
  return [...new Set(request.disks)].map((label) => {
    const found = disks.find(({ disk }) => disk === label)
    if (found !== undefined) return found
    const known = disks.map(({ disk }) => disk).join(', ')
    throw notFound('disks', `The recovery point has no disk ${label}.`, `It has ${known}.`)
  })
}

const jobOf = (
  { deps }: Call,
  { vmKey, recoveryPointId }: RecoveryPoint,
  disks: readonly CommittedDisk[],
  { oneIn }: CompareRequest,
): CompareJob => {
  const now = deps.clock.now()
  return {
    kind: 'comparison',
    jobId: compareJobIdOf(now, vmKey, deps.newToken()),
    vmKey,
    recoveryPointId,
    disks: disks.map(({ disk }) => disk),
    oneIn,
    requestedAt: now.toISOString(),
    deadline: new Date(now.getTime() + deps.windowHours * 3_600_000).toISOString(),
  }
}

const sourcesGone = (
  { vmKey, recoveryPointId }: RecoveryPoint,
  disks: readonly string[],
  isNewest: boolean,
): ProblemError =>
  new ProblemError({
    status: 409,
    code: 'source-copies-gone',
    title: 'The platform does not have the copies any more.',
    detail: `The platform's copies that ${recoveryPointId} was made from are gone (${disks.join(', ')}): they are kept of the newest recovery point alone, until the next backup is committed. Nothing was started.`,
    errors: [
      {
        field: 'recoveryPointId',
        detail: 'There is nothing that it could be compared with.',
        fix: isNewest
          ? 'Back the VM up first by POST backups, and compare the new one; or restore this one.'
          : `Compare the newest one of GET vms/${vmKey}/recovery-points (or latest), or restore this one. If this is the newest, back the VM up first.`,
      },
    ],
  })
