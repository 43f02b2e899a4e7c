/** Names of the job objects in the control container. Ids are made by this project (`isId`), so they need no escaping. */

/** Ids of jobs tell their kind by how they begin; all others are backups. */
export const isRestoreJobId = (jobId: string): boolean => jobId.startsWith('restore-')

/** See `isRestoreJobId`. */
export const isCompareJobId = (jobId: string): boolean => jobId.startsWith('compare-')

/** A VM has one backup or comparison at a time. A restore only reads the vault, so it claims its own id and never waits for a backup. */
export const claimName = (job: { readonly jobId: string; readonly vmKey: string }): string =>
  isRestoreJobId(job.jobId) ? `claims/${job.jobId}` : `claims/${job.vmKey}`

/** Claims of all items: every job that runs has one below it. */
export const claimPrefix = 'claims/'

/** Records of ended jobs, the newest first. */
export const endedJobPrefix = 'ended-jobs/'

/** Listed in byte order, the newest job comes first: the time in its id is counted down. */
export const endedJobName = (jobId: string): string => {
  const [, day = '0', time = '0'] = /-(\d{8})t(\d{6})z-[0-9a-f]+$/.exec(jobId) ?? []
  return `${endedJobPrefix}${99_999_999_999_999 - Number(day + time)}-${jobId}`
}

/** The job of such a record.
 * @param name as `endedJobName` makes it */
export const jobIdOfEnded = (name: string): string => name.slice(name.indexOf('-', endedJobPrefix.length) + 1)

/** Where version 0.1 kept the record of a job, from its start on. */
export const olderJobName = (jobId: string): string => `${olderJobPrefix}${jobId}`

/** See `olderJobName`. */
export const olderJobPrefix = 'jobs/'

/** Where version 0.1 kept the order of its jobs; nothing reads it. */
export const olderRecentJobPrefix = 'recent-jobs/'

/** The VM that the id of a backup or a comparison names, which hold its claim; null for any other id. */
export const vmKeyOfBackup = (jobId: string): string | null =>
  /^(?:backup|compare)-(.+)-\d{8}t\d{6}z-[0-9a-f]+$/.exec(jobId)?.[1] ?? null

/** Which backup of the VM ended without a commit and can go on. */
export const unfinishedName = (vmKey: string): string => `unfinished/${vmKey}`

/** The VM as it was when the backup began, and each disk's base. */
export const vmPlanName = (recoveryPointId: string): string => `plans/${recoveryPointId}/vm.json`

/** The platform's copies that the backup reads. */
export const sourcesName = (recoveryPointId: string): string => `plans/${recoveryPointId}/sources.json`

/** Why a disk that was planned as an incremental became a full transfer. */
export const fullReasonName = (recoveryPointId: string, disk: string): string =>
  `plans/${recoveryPointId}/full-${disk}.json`

/** What the sealing of a disk made: the stack for the commit record, and the report. */
export const sealedName = (recoveryPointId: string, disk: string): string =>
  `plans/${recoveryPointId}/sealed-${disk}.json`

/** How far the slices of a disk are that are being moved. */
export const sliceProgressPrefix = (recoveryPointId: string, disk: string): string =>
  `progress/${recoveryPointId}/${disk}/`

/** How far one slice is. Written over and over; the last word counts. */
export const sliceProgressName = (recoveryPointId: string, disk: string, slice: number): string =>
  `${sliceProgressPrefix(recoveryPointId, disk)}${String(slice).padStart(6, '0')}`

/** Says that the footer of a restored disk is written; its upload may have ended since. */
export const footerName = (jobId: string, disk: string): string => `plans/${jobId}/footer-${disk}.json`

/** What a restore job will do; named by the job, since a recovery point may be restored many times. */
export const restorePlanName = (jobId: string): string => `plans/${jobId}/restore.json`

/** What a comparison will do. */
export const comparisonPlanName = (jobId: string): string => `plans/${jobId}/comparison.json`

/** All policies. */
export const policyPrefix = 'policies/'

/** A policy as it was put there by an operator.
 * @param name of the policy, an id */
export const policyName = (name: string): string => `${policyPrefix}${name}.json`
