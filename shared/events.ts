/** What the app says about itself, one function for each thing that happens in its business. Facts are plain values: no URL, key,
 * token or error text of a platform ever comes here, only ids, counts, times and reason codes. */
import type { MaintenanceCounts } from './domain/maintenance.ts'

/** How much an event wants to be seen: `error` calls for somebody, `warning` for a look. */
export type EventLevel = 'information' | 'warning' | 'error'

/** One thing that happened, ready for a log. */
export interface BusinessEvent {
  /** Stable; queries and alert rules name it. */
  readonly name: string
  readonly level: EventLevel
  /** One sentence for people. */
  readonly message: string
  readonly facts: Readonly<Record<string, string | number | boolean | null>>
}

/** Takes one event; must not throw. In a function: its context's log with the facts as custom dimensions. */
export type EventSink = (event: BusinessEvent) => void

interface JobFacts {
  readonly jobId: string
  readonly vmKey: string
  readonly attempt: number
}
interface DiskFacts extends JobFacts {
  readonly disk: string
}

/** All events, bound to where they go. */
export const eventsTo = (sink: EventSink) => {
  const write =
    <Facts extends object>(name: string, level: EventLevel, say: (facts: Facts) => string) =>
    (facts: Facts): void =>
      sink({ name, level, message: say(facts), facts: { ...(facts as BusinessEvent['facts']) } })
  return {
    configurationRefused: write<{ readonly settings: string; readonly problems: number }>(
      'configurationRefused',
      'error',
      ({ settings, problems }) => `${problems} settings are missing or wrong: ${settings}. No job is started.`,
    ),
    sweepEnded: write<{ readonly started: number; readonly running: number; readonly restarted: number }>(
      'sweepEnded',
      'information',
      ({ started, running, restarted }) =>
        `Started ${started} backups; ${running} run, ${restarted} were taken up again.`,
    ),
    jobStarted: write<JobFacts & { readonly kind: string; readonly trigger: string }>(
      'jobStarted',
      'information',
      ({ jobId, kind, trigger }) => `The ${kind} ${jobId} has started (${trigger}).`,
    ),
    jobTakenUp: write<JobFacts & { readonly endedAs: string }>(
      'jobTakenUp',
      'warning',
      ({ jobId, attempt, endedAs }) =>
        `Job ${jobId} goes on with attempt ${attempt}; the one before ended as ${endedAs}.`,
    ),
    jobRefused: write<{ readonly vmKey: string; readonly runningJobId: string }>(
      'jobRefused',
      'information',
      ({ vmKey, runningJobId }) => `No second job for ${vmKey}: ${runningJobId} is running.`,
    ),
    snapshotTaken: write<JobFacts & { readonly source: string; readonly asked: string; readonly reached: string }>(
      'snapshotTaken',
      'information',
      ({ vmKey, asked, reached }) =>
        asked === reached
          ? `The disks of ${vmKey} are snapshotted, ${reached}-consistent.`
          : `The disks of ${vmKey} are snapshotted, ${reached}-consistent where ${asked} was asked for.`,
    ),
    platformThrottled: write<JobFacts & { readonly step: string; readonly retryAfterSeconds: number }>(
      'platformThrottled',
      'information',
      ({ step, retryAfterSeconds }) => `The platform asks to wait ${retryAfterSeconds} s with ${step}.`,
    ),
    fullTransferNeeded: write<DiskFacts & { readonly reason: string }>(
      'fullTransferNeeded',
      'information',
      ({ disk, reason }) => `All allocated ranges of ${disk} are transferred: ${reason}.`,
    ),
    diskTransferred: write<
      DiskFacts & {
        readonly transfer: string
        readonly sizeBytes: number
        readonly changedBytes: number
        readonly readBytes: number
        readonly storedBytes: number
        readonly milliseconds: number
      }
    >(
      'diskTransferred',
      'information',
      ({ disk, transfer, changedBytes, storedBytes }) =>
        `Disk ${disk} is transferred (${transfer}): ${changedBytes} bytes changed, ${storedBytes} stored.`,
    ),
    windowAtRisk: write<JobFacts & { readonly deadline: string; readonly expectedEnd: string }>(
      'windowAtRisk',
      'warning',
      ({ jobId, deadline, expectedEnd }) =>
        `Job ${jobId} is expected to end at ${expectedEnd}, after its window (${deadline}).`,
    ),
    recoveryPointCommitted: write<
      JobFacts & { readonly recoveryPointId: string; readonly consistency: string; readonly storedBytes: number }
    >(
      'recoveryPointCommitted',
      'information',
      ({ recoveryPointId, vmKey }) => `Recovery point ${recoveryPointId} of ${vmKey} is in the vault.`,
    ),
    recoveryPointExpired: write<{ readonly vmKey: string; readonly recoveryPointId: string }>(
      'recoveryPointExpired',
      'warning',
      ({ recoveryPointId, vmKey }) => `Recovery point ${recoveryPointId} of ${vmKey} was ended by hand.`,
    ),
    dataKeyRotated: write<{ readonly keyId: string; readonly previousKeyId: string | null }>(
      'dataKeyRotated',
      'information',
      ({ keyId }) => `New recovery points are encrypted under the data key ${keyId}.`,
    ),
    wrappingKeyRotated: write<{ readonly rewrapped: number; readonly already: number }>(
      'wrappingKeyRotated',
      'information',
      ({ rewrapped, already }) =>
        `${rewrapped} data keys are wrapped under the newest wrapping key, ${already} were before.`,
    ),
    dataKeysNotRewrapped: write<{ readonly failed: number }>(
      'dataKeysNotRewrapped',
      'error',
      ({ failed }) => `${failed} data keys could not be wrapped under the newest wrapping key.`,
    ),
    sourcesReleased: write<JobFacts & { readonly removed: number }>(
      'sourcesReleased',
      'information',
      ({ removed, vmKey }) => `${removed} restore points or snapshots of ${vmKey} were removed.`,
    ),
    jobEnded: write<JobFacts & { readonly outcome: string; readonly milliseconds: number }>(
      'jobEnded',
      'information',
      ({ jobId, outcome }) => `Job ${jobId} has ended: ${outcome}.`,
    ),
    vaultMaintained: write<{ readonly passId: string; readonly stage: string } & Partial<MaintenanceCounts>>(
      'vaultMaintained',
      'information',
      ({ passId, stage }) => `A step of ${passId} has ended: ${stage}.`,
    ),
    damageFound: write<{ readonly passId: string; readonly damaged: number }>(
      'damageFound',
      'error',
      ({ damaged }) =>
        `${damaged} damages were found in the vault. GET damage names the objects and the recovery points they touch.`,
    ),
    jobFailed: write<JobFacts & { readonly outcome: string; readonly reason: string; readonly hint: string }>(
      'jobFailed',
      'error',
      ({ jobId, outcome, reason, hint }) => `Job ${jobId} has ended: ${outcome} (${reason}). ${hint}`,
    ),
  }
}
