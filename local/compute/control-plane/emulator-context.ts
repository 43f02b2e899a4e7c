import type { DiskStore } from '../disks/disk-store.ts'
import type { FaultPlan } from './faults.ts'
import type { OperationRunner } from './operation-runner.ts'
import type { RateLimits } from './rate-limits.ts'
import type { EmulatorSettings } from './settings.ts'
import type { EmulatorState } from './state.ts'

/** What every handler works with. */
export interface EmulatorContext {
  readonly state: EmulatorState
  readonly disks: DiskStore
  readonly faults: FaultPlan
  readonly limits: RateLimits
  readonly operations: OperationRunner
  /** The settings as they are now. */
  readonly settings: () => EmulatorSettings
  readonly changeSettings: (settings: EmulatorSettings) => void
  /** Milliseconds since 1970; tests move it. */
  readonly nowMs: () => number
}

/** The present as Azure writes times: ISO 8601 with an explicit offset. */
export const timestamp = (nowMs: number): string => new Date(nowMs).toISOString().replace('Z', '+00:00')
