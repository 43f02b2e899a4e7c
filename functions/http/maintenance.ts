import * as v from 'valibot'
import { maintenanceInstanceId, passIdOf } from '../../shared/domain/ids.ts'
import type { MaintenanceOutcome, MaintenanceProblem, Mended } from '../../shared/domain/maintenance.ts'
import { type Endpoint, json } from './endpoint.ts'
import { ProblemError } from './problem.ts'
import { readBody } from './request-body.ts'

const requestSchema = v.strictObject({
  /** Check everything again, also what was checked lately. */
  recheck: v.optional(v.boolean('Expected true or false.'), false),
})

/** POST: begins a pass over the vault now: expire, compact, collect, scrub. The body may be empty. GET: the pass that runs, or the last one. */
export const vaultMaintenance: Endpoint = {
  name: 'maintainVaultNow',
  route: 'maintenance',
  methods: {
    POST: async ({ request, deps, management }) => {
      const { recheck } = await readBody(request, requestSchema, '{}')
      const now = deps.clock.now()
      const pass = { passId: passIdOf(now, deps.newToken()), ...(recheck ? { recheckBefore: now.toISOString() } : {}) }
      if ((await deps.instances.startMaintenance(pass)) === 'exists') throw runningProblem()
      const urls = await management(maintenanceInstanceId)
      const headers = { location: String(urls.statusQueryGetUri), 'retry-after': '10' }
      return json(202, { ...pass, instanceId: maintenanceInstanceId, ...urls }, headers)
    },
    GET: async ({ deps }) => {
      const status = await deps.instances.status(maintenanceInstanceId)
      const state = status === null ? 'neverRun' : status.state
      const { runtimeStatus = null, customStatus = null, updatedAt = null } = status ?? {}
      const progress = toldProgress(customStatus)
      return json(200, { state, runtimeStatus, progress, updatedAt }, { 'cache-control': 'no-store' })
    },
  },
}

const runningProblem = (): ProblemError =>
  new ProblemError({
    status: 409,
    code: 'maintenance-running',
    title: 'A pass over the vault is running.',
    detail: 'One pass runs at a time. Nothing was changed; follow the one that runs by GET maintenance.',
    hint: 'Follow the pass that runs by GET maintenance, and begin another one when it has ended.',
  })

/** What a pass shows, its problems with code and words as every other answer has them, apart from what it has mended itself. */
const toldProgress = (shown: unknown): unknown => {
  const progress = shown as Partial<MaintenanceOutcome> | null
  if (progress?.problems === undefined) return progress
  const { problems, mended = [] } = progress
  return { ...progress, problems: problems.map(toldProblem), mended: mended.map(toldMended) }
}

const toldProblem = ({ stage, reason, message, hint }: MaintenanceProblem) => ({
  stage,
  code: reason,
  reason: message,
  hint,
})

const toldMended = ({ code, ...object }: Mended) => ({ ...object, code: `vault-${code}` })
