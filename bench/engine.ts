/**
 * Runs one backup or restore with the built app in this process: the activities of the real story in their order, on the real composition,
 * without a Functions host around them. Settings come by environment, the order by message; the answer goes back by message. Started by
 * `bench/support/run-engine.ts`.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { backupJobIdOf, recoveryPointIdOf, restoreJobIdOf, vmKeyOf } from '../shared/domain/ids.ts'
import type { BackupJob, DiskReport, RestoreJob } from '../shared/domain/job.ts'
import type { JobInstances } from '../shared/jobs/job-instances.ts'
import { startJob } from '../shared/jobs/start-job.ts'
import { latestRecoveryPoint } from '../shared/vault/recovery-points.ts'
import type { EngineAnswer, EngineOrder, EngineResult } from './support/engine-order.ts'
import { type BuiltApp, loadBuiltApp } from './support/loaded-app.ts'
import { stillCompute, vmIdOf } from './support/still-compute.ts'

type Services = Awaited<ReturnType<typeof loadBuiltApp>>['services']

/** The activities of one job, timed by name. */
interface Steps {
  run<Outcome>(name: string, input: object): Promise<Outcome>
  readonly seconds: Record<string, number>
  readonly peakBytes: Record<string, number>
}

const stepsOf = (app: BuiltApp): Steps => {
  const seconds: Record<string, number> = {}
  const peakBytes: Record<string, number> = {}
  return {
    seconds,
    peakBytes,
    async run<Outcome>(name: string, input: object) {
      const began = performance.now()
      for (;;) {
        const outcome = (await app.activity(name, input)) as { kind: string; retryAfterSeconds?: number }
        if (outcome.kind === 'pending') {
          await sleep((outcome.retryAfterSeconds ?? 1) * 1000)
          continue
        }
        seconds[name] = (seconds[name] ?? 0) + (performance.now() - began) / 1000
        peakBytes[name] = memory('VmHWM')
        if (['failed', 'stopped', 'superseded'].includes(outcome.kind))
          throw new Error(`${name}: ${JSON.stringify(outcome)}`)
        return outcome as Outcome
      }
    },
  }
}

interface JobRef {
  readonly jobId: string
  readonly vmKey: string
  readonly recoveryPointId: string
  readonly token: string
}

const backUp = async (services: Services, steps: Steps, vmId: string): Promise<{ id: string; report: DiskReport }> => {
  const now = new Date()
  const vmKey = vmKeyOf(vmId)
  const jobId = backupJobIdOf(vmKey, now, services.newToken())
  const job: BackupJob = {
    kind: 'backup',
    jobId,
    vmId,
    vmKey,
    recoveryPointId: recoveryPointIdOf(now, jobId),
    policy: null,
    trigger: 'onDemand',
    consistency: 'crash',
    source: 'restorePoints',
    excludedDisks: [],
    requestedAt: now.toISOString(),
    deadline: new Date(now.getTime() + 24 * 3600 * 1000).toISOString(),
  }
  const ref = await begin(services, job)
  const begun = await steps.run<{ sources: { kind: string } }>('planBackup', { job, token: ref.token, attempt: 1 })
  if (begun.sources.kind !== 'ready') await steps.run('takeRestorePoint', ref)
  const disk = { ...ref, disk: 'os', attempt: 1 }
  const plan = await steps.run<{ slices: number; lanes: number; unchanged?: DiskReport }>('planDisk', disk)
  await inLanes(steps, disk, plan)
  const report = plan.unchanged ?? (await steps.run<{ report: DiskReport }>('sealDisk', disk)).report
  const summary = { consistency: 'crash', consistentAcrossDisks: true, disks: [report] }
  const outcome = { kind: 'completed', recoveryPointId: ref.recoveryPointId, summary }
  const concluded = await steps.run<{ kind: string }>('concludeBackup', { ...ref, outcome })
  if (concluded.kind !== 'concluded') {
    await steps.run('closeSources', ref)
    await steps.run('releaseRestorePoints', ref)
    await steps.run('finishJob', { ...ref, outcome })
  }
  return { id: ref.recoveryPointId, report }
}

/** As the orchestrations do it: every lane takes every n-th slice, one after another. */
const inLanes = async (
  steps: Steps,
  disk: JobRef & { readonly disk: string },
  { slices, lanes }: { readonly slices: number; readonly lanes: number },
): Promise<void> => {
  const lane = async (first: number): Promise<void> => {
    for (let slice = first; slice < slices; slice += lanes) await steps.run('transferSlice', { ...disk, slice })
  }
  await Promise.all(Array.from({ length: Math.min(lanes, slices) }, (_, first) => lane(first)))
}

const restore = async (services: Services, steps: Steps, order: EngineOrder & { kind: 'restore' }): Promise<string> => {
  const now = new Date()
  const vmKey = vmKeyOf(vmIdOf(order.vm))
  const latest = await latestRecoveryPoint(services.vault, vmKey)
  const recoveryPointId = order.recoveryPointId ?? latest?.recoveryPoint.recoveryPointId
  if (recoveryPointId === undefined) throw new Error('There is no recovery point to restore.')
  const job: RestoreJob = {
    kind: 'restore',
    jobId: restoreJobIdOf(now, vmKey, services.newToken()),
    vmKey,
    recoveryPointId,
    disks: [{ disk: 'os', targetDiskId: `${vmIdOf(order.vm)}-restored` }],
    location: 'westeurope',
    requestedAt: now.toISOString(),
  }
  const ref = await begin(services, job)
  await steps.run('planRestore', { job, token: ref.token })
  const disk = { ...ref, disk: 'os' }
  await steps.run('openRestoreDisk', disk)
  for (let fromOffsetBytes = 0; ; ) {
    const range = await steps.run<{ kind: string; nextOffsetBytes: number }>('restoreRange', {
      ...disk,
      fromOffsetBytes,
    })
    fromOffsetBytes = range.nextOffsetBytes
    if (range.kind === 'written') break
  }
  await steps.run('finishRestoreDisk', disk)
  const summary = { consistency: null, consistentAcrossDisks: true, disks: [] }
  await steps.run('finishJob', { ...ref, outcome: { kind: 'completed', recoveryPointId, summary } })
  return recoveryPointId
}

const begin = async (services: Services, job: BackupJob | RestoreJob): Promise<JobRef> => {
  const tokens: string[] = []
  const instances: JobInstances = {
    start: async ({ token }) => {
      tokens.push(token)
      return 'started'
    },
    status: async () => null,
    cancel: async () => undefined,
    startMaintenance: async () => 'exists',
  }
  const started = await startJob({ ...services, instances }, job)
  if (started.kind !== 'started') throw new Error(`The job was not started: ${started.kind}.`)
  return { jobId: job.jobId, vmKey: job.vmKey, recoveryPointId: job.recoveryPointId, token: tokens[0]! }
}

const memory = (field: 'VmHWM' | 'VmRSS'): number => {
  const status = readFileSync('/proc/self/status', 'utf8')
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) * 1024
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

const run = async (
  order: EngineOrder,
  services: Services,
  steps: Steps,
): Promise<{ id: string; report: DiskReport | null }> => {
  if (order.kind === 'restore') return { id: await restore(services, steps, order), report: null }
  return backUp(services, steps, order.kind === 'backup' ? vmIdOf(order.vm) : order.vmId)
}

/** What of the app's services is replaced for an order. */
const replacing =
  (order: EngineOrder) =>
  (real: () => Services): Services =>
    order.kind === 'platformBackup' ? real() : { ...real(), ...stillCompute(order, vmKeyOf(vmIdOf(order.vm))) }

const perform = async (order: EngineOrder): Promise<EngineResult> => {
  const { app, use } = await loadBuiltApp(replacing(order))
  if (order.kind === 'backup' && order.sourceBefore !== undefined) {
    const before = { ...order, source: order.sourceBefore }
    await run(before, use(replacing(before)), stepsOf(app))
  }
  const services = use(replacing(order))
  const steps = stepsOf(app)
  const idleRssBytes = memory('VmRSS')
  const cpuBefore = cpuSeconds()
  const began = performance.now()
  const done = await run(order, services, steps)
  const wallSeconds = (performance.now() - began) / 1000
  const cpuAfter = cpuSeconds()
  return {
    recoveryPointId: done.id,
    wallSeconds,
    cpuSeconds: cpuAfter,
    jobCpuSeconds: cpuAfter - cpuBefore,
    peakRssBytes: memory('VmHWM'),
    idleRssBytes,
    stepSeconds: steps.seconds,
    stepPeakBytes: steps.peakBytes,
    report: done.report,
  }
}

process.once('message', (order) => {
  perform(order as EngineOrder).then(
    (result) => finish({ kind: 'done', result }),
    (error: unknown) =>
      finish({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  )
})

const finish = (answer: EngineAnswer): void => {
  process.send?.(answer, () => process.exit())
}
