import * as v from 'valibot'
import { isId, restoreJobIdOf } from '../../shared/domain/ids.ts'
import type { RestoreJob } from '../../shared/domain/job.ts'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { diskLabelSchema } from '../../shared/jobs/policies.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { askedRecoveryPoint } from './asked-recovery-point.ts'
import { type Call, type Endpoint, json } from './endpoint.ts'
import { type DamagedDisks, knownDamage } from './known-damage.ts'
import { diskIdPattern, hasNoDots, resourceGroupIdPattern } from './parameters.ts'
import { invalidField, notFound } from './problem.ts'
import { readBody } from './request-body.ts'
import { acceptedHeaders, busyProblem, startedJob, statusUrl } from './started-job.ts'

const idText = 'Expected an id from a list of this API.'
const id = v.pipe(v.string(idText), v.check(isId, idText))
const armId = (pattern: RegExp, expected: string) =>
  v.pipe(v.string(expected), v.regex(pattern, expected), v.check(hasNoDots, expected))

const disksText = 'Expected a list such as [{"disk": "os"}].'
const diskSchema = v.strictObject(
  {
    disk: diskLabelSchema,
    targetDiskId: v.optional(armId(diskIdPattern, 'Expected the id of the disk to make: /subscriptions/…/disks/….')),
  },
  'Expected an object such as {"disk": "os"}.',
)
const locationText = 'Expected the plain name of a region, such as "westeurope".'

const requestSchema = v.strictObject({
  vmKey: id,
  /** `latest` is the newest one. */
  recoveryPointId: id,
  disks: v.optional(
    v.pipe(
      v.array(diskSchema, disksText),
      v.minLength(1, `${disksText} Leave the field out for all disks.`),
      v.maxLength(65),
    ),
  ),
  targetResourceGroupId: v.optional(
    armId(resourceGroupIdPattern, 'Expected the id of a resource group: /subscriptions/…/resourceGroups/….'),
  ),
  location: v.optional(v.pipe(v.string(locationText), v.regex(/^[A-Za-z][A-Za-z0-9 ]{1,39}$/, locationText))),
})

type RestoreRequest = v.InferOutput<typeof requestSchema>

/** POST: restores disks of a recovery point into new managed disks. `warning` says so where some are known to be damaged. */
export const startRestore: Endpoint = {
  name: 'startRestore',
  route: 'restores',
  methods: {
    POST: async (call) => {
      const request = await readBody(call.request, requestSchema)
      refuseOtherSubscriptions(call, request)
      const recoveryPoint = await askedRecoveryPoint(call.deps.vault, request)
      const restore = restoreJobOf(call, request, recoveryPoint)
      const warning = warningOf(restore, (await knownDamage(call.deps, restore.vmKey))(restore.recoveryPointId))
      const outcome = await startJob(call.deps, restore)
      if (outcome.kind === 'busy') throw busyProblem(call, outcome.running)
      if (outcome.kind === 'already')
        return json(202, { jobId: outcome.jobId, statusUrl: statusUrl(call, outcome.jobId) })
      const job = await startedJob(call, outcome, restore)
      const { recoveryPointId, disks } = restore
      return json(202, { ...job, recoveryPointId, disks, ...warning }, acceptedHeaders(job))
    },
  },
}

/** What the app has no rights in fails late, in the middle of a job; what only the platform can tell still does. */
const refuseOtherSubscriptions = (
  { deps }: Call,
  { targetResourceGroupId, disks }: Pick<RestoreRequest, 'disks' | 'targetResourceGroupId'>,
): void => {
  const known = new Set(deps.subscriptionIds.map((subscription) => subscription.toLowerCase()))
  const named = [
    { field: 'targetResourceGroupId', resourceId: targetResourceGroupId },
    ...(disks ?? []).map(({ targetDiskId }, at) => ({ field: `disks.${at}.targetDiskId`, resourceId: targetDiskId })),
  ]
  for (const { field, resourceId } of named) {
    const subscription = resourceId?.split('/')[2]?.toLowerCase()
    if (subscription === undefined || known.has(subscription)) continue
    throw invalidField(
      422,
      field,
      `It lies in the subscription ${subscription}, which the app is not set up for.`,
      `Name one in ${[...known].join(' or ')}, or add the subscription to AZURE_SUBSCRIPTION_IDS.`,
    )
  }
}

const warningOf = ({ vmKey, recoveryPointId, disks }: RestoreJob, damaged: DamagedDisks) => {
  const chosen = disks.flatMap(({ disk }) => (damaged === null || damaged.includes(disk) ? disk : []))
  if (chosen.length === 0) return {}
  const what = `Known to be damaged in ${recoveryPointId}: ${chosen.join(', ')}. Their restore fails unless that has been cured.`
  return { warning: `${what} GET damage?vmKey=${vmKey} names the places; another recovery point may have them whole.` }
}

const restoreJobOf = (call: Call, request: RestoreRequest, recoveryPoint: RecoveryPoint): RestoreJob => {
  const now = call.deps.clock.now()
  const jobId = restoreJobIdOf(now, recoveryPoint.vmKey, call.deps.newToken())
  const asked: NonNullable<RestoreRequest['disks']> = request.disks ?? recoveryPoint.disks.map(({ disk }) => ({ disk }))
  const disks = asked.map(({ disk, targetDiskId }, index) => {
    const name = nameOf(recoveryPoint, disk, index)
    return { disk, targetDiskId: targetDiskId ?? defaultTarget(request, recoveryPoint, name, jobId) }
  })
  refuseDoubles(disks)
  return {
    kind: 'restore',
    jobId,
    vmKey: recoveryPoint.vmKey,
    recoveryPointId: recoveryPoint.recoveryPointId,
    disks,
    location: request.location ?? recoveryPoint.vm.location,
    requestedAt: now.toISOString(),
  }
}

/** Azure: a disk's name has at most 80 characters. */
const nameCharactersMax = 80

/** Next to the VM, or in the group that was asked for: the old disk's name and what makes the job's id its own. */
const defaultTarget = (request: RestoreRequest, { vm }: RecoveryPoint, name: string, jobId: string): string => {
  const group = request.targetResourceGroupId ?? vm.vmId.slice(0, vm.vmId.toLowerCase().indexOf('/providers/'))
  const mark = jobId.slice(-27)
  return `${group}/providers/Microsoft.Compute/disks/${name.slice(0, nameCharactersMax - mark.length - 1)}-${mark}`
}

/** The name that the disk had, which also says that the recovery point has it. */
const nameOf = ({ disks }: RecoveryPoint, label: string, index: number): string => {
  const committed = disks.find(({ disk }) => disk === label)
  if (committed !== undefined) return committed.name
  const known = disks.map(({ disk }) => disk).join(', ')
  throw notFound(`disks.${index}.disk`, `The recovery point has no disk ${label}.`, `It has ${known}.`)
}

const refuseDoubles = (disks: RestoreJob['disks']): void => {
  const seen = new Set<string>()
  for (const [index, { targetDiskId }] of disks.entries()) {
    if (seen.has(targetDiskId.toLowerCase()))
      throw invalidField(
        422,
        `disks.${index}.targetDiskId`,
        'Two disks have the same target.',
        'Give each disk its own.',
      )
    seen.add(targetDiskId.toLowerCase())
  }
}
