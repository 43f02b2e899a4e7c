import type { HttpResponseInit } from '@azure/functions'
import * as v from 'valibot'
import type { WindowFor } from '../../shared/domain/job.ts'
import {
  type BackupChoices,
  backupJobOf,
  defaultChoices,
  type Policy,
  type PolicySelection,
} from '../../shared/domain/policy.ts'
import type { VmDescription } from '../../shared/domain/vm.ts'
import { forEachBounded } from '../../shared/jobs/for-each-bounded.ts'
import { choiceSchemas, policyNameSchema, readPolicy, selectionSchema } from '../../shared/jobs/policies.ts'
import { selectVms } from '../../shared/jobs/select-vms.ts'
import { type StartOutcome, startJob } from '../../shared/jobs/start-job.ts'
import { safeMessage } from '../../shared/jobs/step-failure.ts'
import type { Told } from '../../shared/jobs/told-outcome.ts'
import { type Call, type Endpoint, json } from './endpoint.ts'
import { hasNoDots, vmIdPattern } from './parameters.ts'
import { invalidField, notFound, ProblemError } from './problem.ts'
import { readBody } from './request-body.ts'
import { acceptedHeaders, busyProblem, type StartedJob, startedJob, statusUrl } from './started-job.ts'

const vmIdText =
  'Expected the id of a VM: /subscriptions/…/resourceGroups/…/providers/Microsoft.Compute/virtualMachines/….'

const requestSchema = v.strictObject({
  vmId: v.optional(v.pipe(v.string(vmIdText), v.regex(vmIdPattern, vmIdText), v.check(hasNoDots, vmIdText))),
  selection: v.optional(selectionSchema),
  policy: v.optional(policyNameSchema),
  excludedDisks: v.optional(choiceSchemas.excludedDisks),
  consistency: v.optional(choiceSchemas.consistency),
  source: v.optional(choiceSchemas.source),
  windowHours: v.optional(choiceSchemas.windowHours),
  compression: v.optional(choiceSchemas.compression),
  encryption: v.optional(choiceSchemas.encryption),
})

type BackupRequest = v.InferOutput<typeof requestSchema>

/** POST: starts a backup now, of one VM, of a selection, or of the VMs of a policy. */
export const startBackup: Endpoint = {
  name: 'startBackup',
  route: 'backups',
  methods: {
    POST: async (call) => {
      const request = await readBody(call.request, requestSchema)
      const target = targetOf(request)
      if (target.kind === 'vm') return startOne(call, target.vmId, wishOf(call, request, null))
      if (target.kind === 'selection') return startMany(call, target.selection, wishOf(call, request, null))
      const policy = await policyOf(call, target.policy)
      return startMany(call, policy.selection, wishOf(call, request, policy))
    },
  },
}

/** Told at once, as every job would fail with it. */
const noKey = invalidField(
  422,
  'encryption',
  'The app has no wrapping key.',
  'Set VAULT_KEY with KEY_VAULT_KEY_URL or KEY_FILE, or do without encryption in the request or the policy.',
)

type Target =
  | { readonly kind: 'vm'; readonly vmId: string }
  | { readonly kind: 'selection'; readonly selection: PolicySelection }
  | { readonly kind: 'policy'; readonly policy: string }

const targetOf = ({ vmId, selection, policy }: BackupRequest): Target => {
  const named = [vmId, selection, policy].filter((field) => field !== undefined).length
  if (named > 1)
    throw invalidField(422, 'vmId', 'More than one of vmId, selection and policy is given.', 'Give one of them.')
  if (vmId !== undefined) return { kind: 'vm', vmId }
  if (selection !== undefined) return { kind: 'selection', selection }
  if (policy !== undefined) return { kind: 'policy', policy }
  throw invalidField(422, 'vmId', 'This field is missing.', 'Give vmId, or selection, or policy.')
}

const given = ({ vmId: _, selection: __, policy: ___, ...choices }: BackupRequest): Partial<BackupChoices> =>
  Object.fromEntries(Object.entries(choices).filter(([, value]) => value !== undefined))

const policyOf = async ({ deps }: Call, name: string) => {
  const found = await readPolicy(deps.control, name)
  if (found === null) throw notFound('policy', `There is no policy ${name}.`, 'Create it, or name another one.')
  if (found.kind === 'problem')
    throw invalidField(
      422,
      'policy',
      `The document of ${name} is not valid: ${found.problem}`,
      'Correct it in the control container.',
    )
  return found.policy
}

/** What was asked for, the same for each of its VMs. */
interface Wish {
  readonly choices: BackupChoices
  readonly policy: string | null
  /** A window that the request names holds for a full transfer too. */
  readonly windowFor: WindowFor
}

const wishOf = ({ deps }: Call, request: BackupRequest, policy: Policy | null): Wish => {
  const choices = { ...(policy ?? defaultChoices), ...given(request) }
  if (choices.encryption === true && !deps.keys.isConfigured) throw noKey
  const windowFor = request.windowHours == null ? 'increments' : 'everything'
  return { choices, policy: policy?.name ?? null, windowFor }
}

const start = (call: Call, vm: VmDescription, { choices, policy, windowFor }: Wish): Promise<StartOutcome> => {
  const now = call.deps.clock.now()
  const occasion = { trigger: 'onDemand' as const, policy, at: now, cause: call.deps.newToken(), now, windowFor }
  return startJob(call.deps, backupJobOf(vm, choices, { ...occasion, windowHours: call.deps.windowHours }))
}

const startOne = async (call: Call, vmId: string, wish: Wish): Promise<HttpResponseInit> => {
  const vm = await call.deps.inventory.find(vmId)
  if (vm === null)
    throw notFound(
      'vmId',
      'The VM does not exist, or the function app may not read it.',
      'Check the id, that its subscription is among AZURE_SUBSCRIPTION_IDS, and the role Reader of the app.',
    )
  const outcome = await start(call, vm, wish)
  if (outcome.kind === 'busy') throw busyProblem(call, outcome.running)
  if (outcome.kind === 'already') return json(202, { jobId: outcome.jobId, statusUrl: statusUrl(call, outcome.jobId) })
  const job = await startedJob(call, outcome, { kind: 'backup', vmKey: vm.vmKey })
  return json(202, { ...job, vmId: vm.vmId, vmKey: vm.vmKey }, acceptedHeaders(job))
}

/** VMs that are started at the same time. */
const startsAtOnce = 8

/** One VM whose start fails keeps no other from being started. */
const startMany = async (call: Call, selection: PolicySelection, wish: Wish): Promise<HttpResponseInit> => {
  const jobs: (StartedJob & OfVm)[] = []
  const busy: (Told & OfVm & { readonly runningJobId: string; readonly statusUrl: string })[] = []
  const failed: (Told & OfVm)[] = []
  const errors: unknown[] = []
  const startNext = async (vm: VmDescription): Promise<void> => {
    const outcome = await start(call, vm, wish)
    const { vmId, vmKey } = vm
    if (outcome.kind === 'started')
      jobs.push({ ...(await startedJob(call, outcome, { kind: 'backup', vmKey })), vmId, vmKey })
    if (outcome.kind === 'busy') {
      const runningJobId = outcome.running.job.jobId
      const reason = `The job ${runningJobId} holds this VM.`
      const told = { code: 'job-running', reason, hint: busyHint }
      busy.push({ vmId, vmKey, runningJobId, statusUrl: statusUrl(call, runningJobId), ...told })
    }
  }
  await forEachBounded(selectVms(call.deps, selection, call.deps.subscriptionIds), startsAtOnce, (vm) =>
    startNext(vm).catch((error: unknown) => {
      errors.push(error)
      failed.push({ vmId: vm.vmId, vmKey: vm.vmKey, code: 'not-started', reason: safeMessage(error), hint: failedHint })
    }),
  )
  if (jobs.length > 0) return json(202, { jobs, busy, failed })
  if (errors.length > 0) throw errors[0]
  if (busy.length > 0) throw allBusy(busy)
  throw notFound(
    wish.policy === null ? 'selection' : 'policy',
    'No VM matches the selection.',
    'Check resource groups and tags; tag values compare with case.',
  )
}

interface OfVm {
  readonly vmId: string
  readonly vmKey: string
}

const failedHint =
  'Start a backup of this VM again. Where the first start came through after all, the answer names its job.'

const busyHint = 'Wait for the running job, or cancel it, then start again.'

const allBusy = (busy: readonly unknown[]): ProblemError =>
  new ProblemError({
    status: 409,
    code: 'job-running',
    title: 'A job is running for each of these VMs.',
    detail: 'Nothing was started. Wait for the running jobs, or cancel them, then start again.',
    hint: busyHint,
    more: { busy },
  })
