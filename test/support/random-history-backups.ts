import type { BackupJob, Claim } from '../../shared/domain/job.ts'
import { refOf } from '../../shared/domain/job-ref.ts'
import { backupJobOf, defaultChoices } from '../../shared/domain/policy.ts'
import { recoveryPointName } from '../../shared/format/names.ts'
import { type HeldClaim, isCurrent, readClaim, renewClaim } from '../../shared/jobs/claim.ts'
import { endJob, finishJob } from '../../shared/jobs/finish-job.ts'
import { readJobRecord } from '../../shared/jobs/job-records.ts'
import { resumeJob } from '../../shared/jobs/resume-job.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { readUnfinished } from '../../shared/jobs/unfinished.ts'
import { givenUp, protect } from './random-history-backup.ts'
import { abortedIn } from './random-history-check.ts'
import { type History, launch, pickVm, quietDeps, writeSome } from './random-history-model.ts'
import { describeVm, type HistoryPlatform, type PlatformVm } from './random-history-platform.ts'
import type { HistoryDeps } from './random-history-world.ts'
import type { SeededRandom } from './seeded-random.ts'

/** Writes, then backs a VM up; where its last backup has not come to an end, that one goes on: in the same attempt, as a step that is tried again,
 * or in the next one, behind the back of the one before; or, where it was given up, it is resumed. */
export const backUp = async (history: History, random: SeededRandom): Promise<string> => {
  const { platform } = history.world
  const vm = pickVm(history, random)
  for (const { bytes } of vm.disks.values()) writeSome(random, bytes, random.below(random.below(4) === 0 ? 30 : 8))
  platform.canDiff = random.below(15) > 0
  return goOn(history, random, vm)
}

const goOn = async (history: History, random: SeededRandom, vm: PlatformVm): Promise<string> => {
  const { control } = quietDeps(history)
  const held = await readClaim(control, { jobId: 'backup', vmKey: vm.vmKey })
  const isRenewed = random.below(2) === 0
  const isResumed = random.below(2) === 0
  const choices = random.below(40)
  const begin = async (deps: HistoryDeps): Promise<Claim | null> => {
    if (held !== null) return (await isOver(deps, held)) ? null : isRenewed ? renewed(deps, held) : held.claim
    const unfinished = isResumed ? await readUnfinished(deps.control, vm.vmKey) : null
    if (unfinished !== null) await resumeJob(deps, unfinished.jobId)
    else await startJob(deps, newJob(history, deps, vm, choices))
    return (await readClaim(deps.control, { jobId: 'backup', vmKey: vm.vmKey }))?.claim ?? null
  }
  return backUpBy(history, random, `${vm.vmId}${held === null ? '' : isRenewed ? ' next attempt' : ' again'}`, begin)
}

/** A new backup of the VM, in which nothing goes wrong. No other one has its claim.
 * @returns the recovery point's id
 * @throws Error where nothing is committed */
export const backUpAnew = async (history: History, random: SeededRandom, vm: PlatformVm): Promise<string> => {
  history.world.platform.canDiff = true
  const begin = async (deps: HistoryDeps): Promise<Claim | null> => {
    await startJob(deps, newJob(history, deps, vm, random.below(40)))
    return (await readClaim(deps.control, { jobId: 'backup', vmKey: vm.vmKey }))?.claim ?? null
  }
  const told = await backUpBy(history, random, vm.vmId, begin, null)
  const recoveryPointId = [...history.world.platform.taken].findLast(([, taken]) => taken.vmKey === vm.vmKey)?.[0] ?? ''
  if (!told.includes(`: ${recoveryPointId}: `) || history.states.get(recoveryPointId) !== 'committed')
    throw new Error(`a backup that nothing disturbs commits nothing: ${told}`)
  return recoveryPointId
}

/** The claim that one run of a backup works under; null where there is nothing to do. */
type Begin = (deps: HistoryDeps) => Promise<Claim | null>

const backUpBy = (
  history: History,
  random: SeededRandom,
  told: string,
  begin: Begin,
  mishap?: null,
): Promise<string> => {
  let committed: string | null = null
  let claim: Claim | null = null
  const task = {
    told,
    run: async (deps: HistoryDeps) => {
      claim = await begin(deps)
      if (claim === null) return 'nothing to do'
      const outcome = await protect(deps, claim, random)
      const { recoveryPointId } = claim.job
      if (outcome.kind === 'committed') {
        committed = recoveryPointId
        return `${recoveryPointId}: ${outcome.story}`
      }
      if (!(await isHolder(history, claim))) return `${recoveryPointId}: ${outcome.reason}`
      if (!mayEnd(history, claim, outcome.reason))
        throw new Error(`the backup ${recoveryPointId} cannot go on: ${outcome.reason}`)
      await finishJob(deps, { ...refOf(claim), outcome: givenUp })
      history.givenUp.add(recoveryPointId)
      return `${recoveryPointId}: ${outcome.reason}`
    },
    settled: () => {
      if (committed !== null && !history.states.has(committed)) history.states.set(committed, 'committed')
    },
    isOvertaken: () => claim !== null && !isHeld(history, claim),
    // What it has stored itself may be damaged, and layers that it lies on: it finds that out at its commit. Whatever else is, it goes around.
    mayMeet: (name: string) =>
      name.startsWith('layers/') || (claim !== null && name.includes(`/${claim.job.recoveryPointId}/`)),
  }
  return mishap === null ? launch(history, random, task, null) : launch(history, random, task)
}

/** True where a backup may say that it cannot go on: where notes of it were lost, where the record of its own commit was damaged and is not mended, and
 * where what names it was lost, so that another one took its place or a collection gave it up, before its name was brought back. */
export const mayEnd = (history: History, { job: { recoveryPointId, vmKey } }: Claim, reason: string): boolean => {
  if ([...history.everDamaged].some((name) => name.startsWith(`plans/${recoveryPointId}/`))) return true
  const committed = recoveryPointName(vmKey, recoveryPointId, 1)
  if (history.everDamaged.has(committed) && reason.includes(committed)) return true
  if (!hasLostName(history, vmKey)) return false
  const { platform, vault } = history.world
  if (reason === 'copy-gone') return isOvertaken(platform, recoveryPointId)
  return abortedIn(vault.objects).some((fenced) => fenced.recoveryPointId === recoveryPointId)
}

/** True where the VM has a later backup: when that is committed the platform's copies of those before it go. */
const isOvertaken = ({ taken }: HistoryPlatform, recoveryPointId: string): boolean => {
  const ids = [...taken.keys()]
  const vmKey = taken.get(recoveryPointId)?.vmKey
  return ids.slice(ids.indexOf(recoveryPointId) + 1).some((id) => taken.get(id)?.vmKey === vmKey)
}

/** True where the claim or the note was lost that names the VM's backup which is under way, or can go on. */
export const hasLostName = ({ everDamaged }: History, vmKey: string): boolean =>
  everDamaged.has(`claims/${vmKey}`) || everDamaged.has(`unfinished/${vmKey}`)

/** True for a job whose outcome was recorded by a run that died before it gave the claim back: that is all that is left to do, as the supervisor does. */
export const isOver = async (deps: HistoryDeps, held: HeldClaim): Promise<boolean> => {
  const outcome = (await readJobRecord(deps.control, held.claim.job.jobId))?.outcome ?? null
  if (outcome !== null) await endJob(deps, held, outcome)
  return outcome !== null
}

export const renewed = async (deps: HistoryDeps, held: HeldClaim): Promise<Claim | null> => {
  const outcome = await renewClaim(deps.control, held, deps.newToken(), deps.clock.now())
  return outcome.kind === 'renewed' ? outcome.claim : null
}

export const isHolder = (history: History, { job, token }: Claim): Promise<boolean> =>
  isCurrent(quietDeps(history).control, { jobId: job.jobId, vmKey: job.vmKey, token })

const isHeld = ({ world }: History, { job, token }: Claim): boolean =>
  Buffer.from(world.control.objects.get(`claims/${job.vmKey}`)?.bytes ?? [])
    .toString()
    .includes(`"${token}"`)

const newJob = (history: History, deps: HistoryDeps, vm: PlatformVm, drawn: number): BackupJob => {
  const now = deps.clock.now()
  const choices = {
    ...defaultChoices,
    compression: drawn % 3 === 0 ? ('none' as const) : ('zstd' as const),
    encryption: drawn % 4 === 0 ? false : null,
  }
  const cause = deps.newToken()
  const occasion = { trigger: 'onDemand', policy: null, at: now, cause, now, windowHours: 24 } as const
  return backupJobOf(describeVm(history.world.platform, vm.vmId), choices, occasion)
}
