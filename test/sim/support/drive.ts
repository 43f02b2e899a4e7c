import type { Claim, JobRecord } from '../../../shared/domain/job.ts'
import { claimPrefix, endedJobPrefix, jobIdOfEnded } from '../../../shared/jobs/control-names.ts'
import { readJobRecord } from '../../../shared/jobs/job-records.ts'
import type { Host } from './host.ts'
import { viewTaskHub } from './task-hub.ts'
import type { World } from './world.ts'

/** Sweeps after which a job must have ended. */
const sweepsMax = 12
/** How long nothing may happen, in milliseconds. */
const patienceMs = 10_000

/** The job that was started last; null before the first. */
export const latestJobId = (world: World): string | null =>
  [...world.control.objects]
    .flatMap(([name, { bytes }]) => {
      if (name.startsWith(endedJobPrefix)) return [jobIdOfEnded(name)]
      if (!name.startsWith(claimPrefix)) return []
      return [(JSON.parse(Buffer.from(bytes).toString()) as Claim).job.jobId]
    })
    .filter((jobId) => jobId.startsWith('backup-'))
    .sort()
    .at(-1) ?? null

/** One run of the timer function, which supervises what runs and starts what is due. */
export const sweep = (host: Host) => host.trigger('startScheduledBackups', { json: '{"IsPastDue":false}' })

/** Lets the host work, with a sweep whenever no job's instance runs, until the job has ended and nothing runs any more. */
export const driveToEnd = async (host: Host, databasePath: string, jobId: string): Promise<JobRecord> => {
  const view = viewTaskHub(databasePath)
  try {
    for (let sweeps = 0; sweeps < sweepsMax; sweeps += 1) {
      await sweep(host)
      await until(host, () => !view.live().some((name) => name === 'protectVm' || name === 'restoreVm'))
      const record = await readJobRecord(host.world.control, jobId)
      if (record === null || record.outcome === null) continue
      await until(host, () => view.live().length === 0 && host.running() === 0)
      await sweepClaims(host)
      return record
    }
    throw new Error(`The job ${jobId} has not ended after ${sweepsMax} sweeps.`)
  } finally {
    view.close()
  }
}

/** Faults and deaths, of which a run has a limited number, may keep some sweeps from what is left of an ended job, not all that come. */
const sweepClaims = async (host: Host): Promise<void> => {
  const hasClaims = () => [...host.world.control.objects.keys()].some((name) => name.startsWith('claims/'))
  await sweep(host)
  for (let sweeps = 0; hasClaims() && sweeps < sweepsMax; sweeps += 1) await sweep(host)
}

const until = async (host: Host, isSo: () => boolean): Promise<void> => {
  const endsAt = performance.now() + patienceMs
  while (!isSo()) {
    if (performance.now() > endsAt) throw new Error('The host neither works nor ends.')
    await host.nextChange()
  }
}
