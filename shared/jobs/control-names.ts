/** Names of the job objects in the control container. Ids are made by this project (`isId`), so they need no escaping. */

export const isRestoreJobId = (jobId: string): boolean => jobId.startsWith('restore-')

export const isCompareJobId = (jobId: string): boolean => jobId.startsWith('compare-')

/** A VM has one backup or comparison at a time. A restore only reads the vault, so it claims its own id and never waits for a backup. */
export const claimName = (job: { readonly jobId: string; readonly vmKey: string }): string =>
  isRestoreJobId(job.jobId) ? `claims/${job.jobId}` : `claims/${job.vmKey}`

export const claimPrefix = 'claims/'

export const jobName = (jobId: string): string => `jobs/${jobId}`

/** Listed in byte order, the newest job comes first. */
export const recentJobName = (requestedAt: Date, jobId: string): string =>
  `recent-jobs/${String(8_640_000_000_000_000 - requestedAt.getTime()).padStart(16, '0')}-${jobId}`

export const recentJobPrefix = 'recent-jobs/'

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

export const sliceProgressName = (recoveryPointId: string, disk: string, slice: number): string =>
  `${sliceProgressPrefix(recoveryPointId, disk)}${String(slice).padStart(6, '0')}`

/** Says that the footer of a restored disk is written; its upload may have ended since. */
export const footerName = (jobId: string, disk: string): string => `plans/${jobId}/footer-${disk}.json`

/** What a restore job will do; named by the job, since a recovery point may be restored many times. */
export const restorePlanName = (jobId: string): string => `plans/${jobId}/restore.json`

/** What a comparison will do. */
export const comparisonPlanName = (jobId: string): string => `plans/${jobId}/comparison.json`

export const policyPrefix = 'policies/'

export const policyName = (name: string): string => `${policyPrefix}${name}.json`
