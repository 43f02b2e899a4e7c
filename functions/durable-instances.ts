import type { DurableClient } from 'durable-functions'
import { instanceIdOf, maintenanceInstanceId } from '../shared/domain/ids.ts'
import type { Claim } from '../shared/domain/job.ts'
import { type MaintenancePass, nothingMaintained } from '../shared/domain/maintenance.ts'
import type { InstanceStatus, JobInstances } from '../shared/jobs/job-instances.ts'
import {
  cancelEvent,
  compareVm,
  type MaintenanceInput,
  maintainVault,
  type ProtectVmInput,
  protectVm,
  restoreVm,
} from './contracts.ts'

const runningStates = ['Pending', 'Running', 'ContinuedAsNew', 'Suspended']

/** The orchestration engine behind a Durable client. */
export const durableInstances = (client: DurableClient): JobInstances => {
  const status = (instanceId: string): Promise<InstanceStatus | null> => statusOf(client, instanceId)
  return {
    status,
    start: (claim) => start(client, claim),
    cancel: async (instanceId) => {
      if ((await status(instanceId))?.state === 'running') await client.raiseEvent(instanceId, cancelEvent, {})
    },
    startMaintenance: (pass) => startMaintenance(client, pass),
  }
}

/** The client throws for an id that the engine does not know; its message names the 404. */
const statusOf = async (client: DurableClient, instanceId: string): Promise<InstanceStatus | null> => {
  try {
    const { runtimeStatus, customStatus, lastUpdatedTime } = await client.getStatus(instanceId)
    const state = runningStates.includes(runtimeStatus) ? 'running' : 'ended'
    const updatedAt = new Date(lastUpdatedTime)
    const known: InstanceStatus = { state, runtimeStatus, customStatus: customStatus ?? null }
    return Number.isNaN(updatedAt.getTime()) ? known : { ...known, updatedAt: updatedAt.toISOString() }
  } catch (error) {
    if (error instanceof Error && /\b404\b/.test(error.message)) return null
    throw error
  }
}

const storyOf = { backup: protectVm, restore: restoreVm, comparison: compareVm } as const

const start = (client: DurableClient, claim: Claim): Promise<'started' | 'exists'> => {
  const { name } = storyOf[claim.job.kind]
  return startOnce(client, name, instanceIdOf(claim.job.jobId, claim.attempt), inputOf(claim))
}

/** What the story of a claim's attempt is given. */
export const inputOf = ({ job, token, attempt }: Claim): ProtectVmInput | Pick<Claim, 'job' | 'token'> =>
  job.kind === 'backup' ? { job, token, attempt } : { job, token }

const startMaintenance = async (client: DurableClient, pass: MaintenancePass): Promise<'started' | 'exists'> => {
  if ((await statusOf(client, maintenanceInstanceId))?.state === 'running') return 'exists'
  const begin = { stage: 'expire', cursor: null, counts: nothingMaintained, problems: [] } as const
  const input: MaintenanceInput = { ...pass, ...begin }
  return startOnce(client, maintainVault.name, maintenanceInstanceId, input)
}

/** The engine refuses the id of an instance that runs (409): somebody else was faster. */
const startOnce = async (
  client: DurableClient,
  name: string,
  instanceId: string,
  input: unknown,
): Promise<'started' | 'exists'> => {
  try {
    await client.startNew(name, { instanceId, input })
    return 'started'
  } catch (error) {
    if ((await statusOf(client, instanceId))?.state === 'running') return 'exists'
    throw error
  }
}
