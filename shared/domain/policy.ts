import { backupJobIdOf, recoveryPointIdOf } from './ids.ts'
import type { BackupJob, Compression, SourceKind, WindowFor } from './job.ts'
import type { Retention } from './retention.ts'
import { latestSlot, type Schedule } from './schedule.ts'
import type { Consistency, VmDescription } from './vm.ts'

/** Which VMs a policy or a request means; without subscriptions, those that the app is set up for. */
export interface PolicySelection {
  readonly subscriptionIds?: readonly string[] | undefined
  readonly resourceGroups?: readonly string[] | undefined
  readonly tags?: Readonly<Record<string, string>> | undefined
}

/** `policies/<name>.json` */
export interface Policy {
  readonly name: string
  readonly selection: PolicySelection
  readonly schedule: Schedule
  readonly excludedDisks: readonly string[]
  /** Null: by the VM's system and state, see `consistencyFor`. */
  readonly consistency: Consistency | null
  readonly source: SourceKind
  /** Null: the app's setting. */
  readonly windowHours: number | null
  readonly compression: Compression
  /** True: fails without a wrapping key. Null: encrypted where the app has one. */
  readonly encryption: boolean | null
  readonly retention: Retention | null
}

/** What a backup on demand may choose; the rest is as in `Policy`. */
export type BackupChoices = Pick<
  Policy,
  'excludedDisks' | 'consistency' | 'source' | 'windowHours' | 'compression' | 'encryption'
>

/** What holds where neither a policy nor the request says otherwise. */
export const defaultChoices: BackupChoices = {
  excludedDisks: [],
  consistency: null,
  source: 'restorePoints',
  windowHours: null,
  compression: 'zstd',
  encryption: null,
}

/** A timer of the engine must stay under six days; five leave room for clocks that differ. */
export const windowHoursMax = 120

/** A slot that was missed for longer than this is not caught up: the next one is near. */
const catchUpMs = 24 * 3600 * 1000

/** The slot of the policy that should have been started by now; null where there is none, or it is too old to be caught up. */
export const dueSlot = (policy: Pick<Policy, 'schedule'>, now: Date): Date | null => {
  const slot = latestSlot(policy.schedule, now)
  return slot !== null && now.getTime() - slot.getTime() <= catchUpMs ? slot : null
}

/** What is asked of the platform where nobody chose: application consistency for Windows, file-system consistency for Linux, and of a VM
 * that is not running its disks as they are. */
export const consistencyFor = (vm: Pick<VmDescription, 'osType' | 'isRunning'>): Consistency =>
  !vm.isRunning ? 'crash' : vm.osType === 'Windows' ? 'application' : 'fileSystem'

/** What a job is made of besides the VM and the choices.
 * @param at the slot of a scheduled run, which makes its id; `now` otherwise
 * @param cause the policy for a scheduled run, so that one slot gives one id; a random text otherwise */
export interface BackupOccasion {
  readonly trigger: BackupJob['trigger']
  readonly policy: string | null
  readonly at: Date
  readonly cause: string
  readonly now: Date
  readonly windowHours: number
  /** Absent: `increments`. */
  readonly windowFor?: WindowFor
}

/** The job of one VM. Made again from the same VM, cause and time it has the same id; its recovery point is that of the start which
 * wins the claim. */
export const backupJobOf = (vm: VmDescription, choices: BackupChoices, occasion: BackupOccasion): BackupJob => {
  const jobId = backupJobIdOf(vm.vmKey, occasion.at, occasion.cause)
  const windowHours = Math.min(windowHoursMax, choices.windowHours ?? occasion.windowHours)
  return {
    kind: 'backup',
    jobId,
    vmId: vm.vmId,
    vmKey: vm.vmKey,
    recoveryPointId: recoveryPointIdOf(occasion.now, jobId),
    policy: occasion.policy,
    trigger: occasion.trigger,
    consistency: choices.consistency ?? consistencyFor(vm),
    source: choices.source,
    excludedDisks: choices.excludedDisks,
    compression: choices.compression,
    encryption: choices.encryption,
    requestedAt: occasion.now.toISOString(),
    deadline: new Date(occasion.now.getTime() + windowHours * 3600 * 1000).toISOString(),
    windowFor: occasion.windowFor ?? 'increments',
  }
}
