import type { JobStatus } from '../../shared/jobs/job-status.ts'
import { expectStatus } from './http.ts'

/** A VM that a policy selects, as `GET /api/vms` lists it. */
export interface ListedVm {
  readonly vmKey: string
  readonly vmId: string
  readonly name: string
  readonly policies: readonly string[]
  readonly disks: readonly { readonly disk: string; readonly name: string; readonly sizeBytes: number }[]
}

/** A job as `GET /api/jobs` lists it. */
export interface ListedJob {
  readonly jobId: string
  readonly kind: 'backup' | 'restore'
  readonly vmKey: string
  readonly recoveryPointId: string
  readonly state: string
  readonly statusUrl: string
}

/** What `POST /api/restores` answers. */
export interface StartedRestore {
  readonly jobId: string
  readonly statusUrl: string
  readonly recoveryPointId: string
  readonly disks: readonly { readonly disk: string; readonly targetDiskId: string }[]
}

/** The app's HTTP API, used as any client would. All calls throw where the app answers otherwise than it should, in its own words. */
export const appApi = (hostOrigin: string) => ({
  listVms: async (): Promise<readonly ListedVm[]> =>
    ((await expectStatus(200, 'GET', `${hostOrigin}/api/vms`)).body as { vms: readonly ListedVm[] }).vms,
  listJobs: async (): Promise<readonly ListedJob[]> =>
    ((await expectStatus(200, 'GET', `${hostOrigin}/api/jobs?top=200`)).body as { jobs: readonly ListedJob[] }).jobs,
  getJob: async (jobId: string): Promise<JobStatus> =>
    (await expectStatus(200, 'GET', `${hostOrigin}/api/jobs/${jobId}`)).body as JobStatus,
  startRestore: async (vmKey: string, recoveryPointId: string): Promise<StartedRestore> =>
    (await expectStatus(202, 'POST', `${hostOrigin}/api/restores`, { vmKey, recoveryPointId })).body as StartedRestore,
  /** Runs the timer function now, by the host's admin route, as one does on Azure. */
  fireTimer: async (): Promise<void> => {
    await expectStatus(202, 'POST', `${hostOrigin}${timerRoute}`, { input: '' })
  },
})

export type AppApi = ReturnType<typeof appApi>

/** Azure Functions: "Manually run a non HTTP-triggered function". */
export const timerRoute = '/admin/functions/startScheduledBackups'
