import type { Claim } from '../domain/job.ts'
import type { MaintenancePass } from '../domain/maintenance.ts'

/** How an instance of the orchestration engine stands. */
export interface InstanceStatus {
  readonly state: 'running' | 'ended'
  /** The engine's own word: Running, Completed, Failed, Terminated, … */
  readonly runtimeStatus: string
  readonly customStatus: unknown
  /** When the engine changed it last: ISO time; absent where it does not say. */
  readonly updatedAt?: string
}

/** The orchestration engine, as jobs need it. */
export interface JobInstances {
  /** Starts the claim's attempt. `exists` where an instance of that id already runs. */
  start(claim: Claim): Promise<'started' | 'exists'>
  /** Null where the engine knows no such instance. */
  status(instanceId: string): Promise<InstanceStatus | null>
  /** Raises the cancel event; harmless where the instance has ended or is unknown. */
  cancel(instanceId: string): Promise<void>
  /** Starts a pass over the vault. `exists` where one runs. */
  startMaintenance(pass: MaintenancePass): Promise<'started' | 'exists'>
}
