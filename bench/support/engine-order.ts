import type { DiskReport } from '../../shared/domain/job.ts'

/** One job for the engine in a process of its own. */
export type EngineOrder = StillOrder | PlatformOrder

export type StillOrder = Exclude<AnyOrder, PlatformOrder>
export type PlatformOrder = Extract<AnyOrder, { readonly kind: 'platformBackup' }>

type AnyOrder =
  | {
      readonly kind: 'backup'
      /** Name of the VM; its disk `os` is backed up. */
      readonly vm: string
      /** VMs of one image may share what they hold. */
      readonly imageReference: string | null
      readonly sizeBytes: number
      /** What the restore point of this backup is called; a key of `sources`. */
      readonly source: string
      /** Source of a backup of the same VM that the process makes first; it is not measured. */
      readonly sourceBefore?: string
      /** URL by name of every source that the VM's recovery points were made from. */
      readonly sources: Readonly<Record<string, string>>
    }
  | {
      /** A VM of a compute platform that the settings name; everything is asked of it. */
      readonly kind: 'platformBackup'
      readonly vmId: string
    }
  | {
      readonly kind: 'restore'
      readonly vm: string
      /** Null: the newest. */
      readonly recoveryPointId: string | null
      readonly targetUrl: string
    }

/** What one job came to. */
export interface EngineResult {
  readonly recoveryPointId: string
  /** From the claim to the end of the job. The process was up and the app loaded, as in a worker that serves requests. */
  readonly wallSeconds: number
  /** All threads, since the process was started: loading the app is part of it. */
  readonly cpuSeconds: number
  readonly jobCpuSeconds: number
  readonly peakRssBytes: number
  /** Before the job: Node with the app loaded. */
  readonly idleRssBytes: number
  /** Seconds in each kind of step; steps at the same time count each. */
  readonly stepSeconds: Readonly<Record<string, number>>
  /** Peak memory of the process at the end of each kind of step. */
  readonly stepPeakBytes: Readonly<Record<string, number>>
  /** Null for a restore. */
  readonly report: DiskReport | null
}

export type EngineAnswer =
  | { readonly kind: 'done'; readonly result: EngineResult }
  | { readonly kind: 'failed'; readonly message: string }
