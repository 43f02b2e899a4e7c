import type { WorkImage, WorkImages } from './work-images.ts'

/** `late`: day A once more, with 10 ms of source latency. `again`: day A once more, in a process that has just made a backup. `original`: the first VM of a marketplace image, whose pages are noted for the VMs that
 * come from the same one; `clone`: the second. */
export const operations = ['full', 'dayA', 'late', 'again', 'dayB', 'restore', 'original', 'clone'] as const
export type Operation = (typeof operations)[number]

/** One run of one operation by one program. */
export interface Sample {
  readonly wallSeconds: number
  /** Of the backup program alone. */
  readonly clientCpuSeconds: number
  /** Of all processes that took part; null where the program works alone. */
  readonly allCpuSeconds: number | null
  readonly peakRssBytes: number
  /** What the operation added to the store; 0 for a restore. */
  readonly storedBytes: number
  /** Of our own runs: seconds in each kind of step; steps at the same time count each. */
  readonly stepSeconds?: Readonly<Record<string, number>>
}

/** A backup program with a fresh store of its own. Operations come in their order; the restore is that of day A. */
export interface Contestant extends AsyncDisposable {
  readonly name: string
  readonly operations: readonly Operation[]
  /** Where its store lies, to be chilled before each operation. */
  readonly storeFolder: string
  run(operation: Operation): Promise<Sample>
  /** The image that the restore has written. */
  readonly restoredPath: string
}

export const imageOf = (images: WorkImages, operation: Operation): WorkImage => {
  switch (operation) {
    case 'full':
    case 'original':
      return images.base
    case 'dayB':
      return images.dayB
    case 'clone':
      return images.clone
    default:
      return images.dayA
  }
}
