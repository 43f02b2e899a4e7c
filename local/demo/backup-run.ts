import { setTimeout as sleep } from 'node:timers/promises'
import { backupJobIdOf, vmKeyOf } from '../../shared/domain/ids.ts'
import { dueSlot } from '../../shared/domain/policy.ts'
import type { ControlStore } from '../../shared/ports/blob-store.ts'
import type { Fleet } from '../compute/fleet.ts'
import { type AppApi, type ListedVm, timerRoute } from './app-api.ts'
import type { Console } from './console.ts'
import { measureImages, vmIdOf } from './fleet-disks.ts'
import { type FollowedJob, followJobs } from './follow-jobs.ts'
import { type FleetPolicy, putPolicy } from './policies.ts'
import { createProgressView } from './progress.ts'
import type { VmResult } from './report.ts'
import { counted } from './units.ts'

/** What a run works with. */
export interface RunParts {
  readonly api: AppApi
  readonly control: ControlStore
  readonly hostOrigin: string
  readonly fleet: Fleet
  readonly console: Console
}

/** One backup of everything that the policies have due: writes the policies, fires the timer through the host's admin route, follows the jobs.
 * @param copies images as they were at the run before, to measure the change; null where there are none
 * @returns a result for each VM that was backed up; empty when nothing was due */
export const runBackups = async (
  parts: RunParts,
  policies: readonly FleetPolicy[],
  copies: ReadonlyMap<string, string> | null,
): Promise<readonly VmResult[]> => {
  const { api, console, hostOrigin } = parts
  const before = new Set((await api.listJobs()).map(({ jobId }) => jobId))
  for (const policy of policies) await putPolicy(parts.control, policy)
  const vms = inFleetOrder(parts.fleet, await api.listVms())
  tellSelection(parts, vms)
  const due = dueJobs(vms, policies, new Date()).filter(({ jobId }) => !before.has(jobId))
  if (due.length === 0) return []
  console.say(
    `The timer fires: curl -X POST ${hostOrigin}${timerRoute} -H 'content-type: application/json' -d '{"input":""}'`,
  )
  await api.fireTimer()
  const jobs = await startedJobs(api, due)
  console.say(`${counted(jobs.length, 'orchestration')} started, one for each VM.`)
  const statuses = await followJobs(api, jobs, createProgressView(console.screen))
  const results: VmResult[] = []
  for (const [index, job] of jobs.entries()) {
    const { outcome } = statuses[index]!
    const vm = parts.fleet.virtualMachines.find((one) => vmKeyOf(vmIdOf(parts.fleet, one)) === job.vmKey)
    if (outcome === null || vm === undefined) continue
    const measured = await measureImages(vm, copies)
    results.push({ vm: job.vm, vmKey: job.vmKey, outcome, statusUrl: `${hostOrigin}/api/jobs/${job.jobId}`, measured })
  }
  return results
}

/** The platform lists VMs in an order of its own; people look for theirs. */
const inFleetOrder = (fleet: Fleet, vms: readonly ListedVm[]): readonly ListedVm[] => {
  const place = (vm: ListedVm) => fleet.virtualMachines.findIndex(({ name }) => name === vm.name)
  return [...vms].sort((one, other) => place(one) - place(other))
}

interface DueJob extends FollowedJob {
  readonly vmKey: string
}

/** The jobs that the next sweep starts: one slot of one policy gives each VM one job id, however often it is computed. */
const dueJobs = (vms: readonly ListedVm[], policies: readonly FleetPolicy[], now: Date): readonly DueJob[] =>
  vms.flatMap((vm) =>
    policies.flatMap(({ policy }) => {
      const slot = vm.policies.includes(policy.name) ? dueSlot(policy, now) : null
      if (slot === null) return []
      return [
        {
          vm: vm.name,
          vmKey: vm.vmKey,
          jobId: backupJobIdOf(vm.vmKey, slot, policy.name),
        },
      ]
    }),
  )

const tellSelection = ({ console }: RunParts, vms: readonly ListedVm[]): void => {
  for (const vm of vms) {
    const disks = vm.disks.map(({ disk, name }) => `${disk} (${name})`).join(', ')
    console.say(
      `Policy ${vm.policies.join(', ')} selects ${vm.name} with ${counted(vm.disks.length, 'disk')}: ${disks}`,
    )
  }
}

/** A busy VM waits for the sweep after next, so a job may come late; ids that never come are left out. */
const startSecondsMax = 45

const startedJobs = async (api: AppApi, due: readonly DueJob[]): Promise<readonly DueJob[]> => {
  const deadline = Date.now() + startSecondsMax * 1000
  for (;;) {
    const known = new Set((await api.listJobs()).map(({ jobId }) => jobId))
    const started = due.filter(({ jobId }) => known.has(jobId))
    if (started.length === due.length) return started
    if (Date.now() > deadline) {
      const missing = due.filter(({ jobId }) => !known.has(jobId)).map(({ vm }) => vm)
      throw new Error(
        `No job was started for ${missing.join(', ')} within ${startSecondsMax} s. The host's log says why.`,
      )
    }
    await sleep(250)
  }
}
