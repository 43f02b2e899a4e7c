import type { WorkImage, WorkImages } from './work-images.ts'

export const operations = ['full', 'dayA', 'dayB', 'restore'] as const
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
}

/** A backup program with a fresh store of its own. Operations come in the order full, dayA, dayB, restore (of day A). */
export interface Contestant extends AsyncDisposable {
  readonly name: string
  readonly operations: readonly Operation[]
  /** Where its store lies, to be chilled before each operation. */
  readonly storeFolder: string
  run(operation: Operation): Promise<Sample>
  /** The image that the restore has written. */
  readonly restoredPath: string
}

export const imageOf = (images: WorkImages, operation: Operation): WorkImage =>
  ({ full: images.base, dayA: images.dayA, dayB: images.dayB, restore: images.dayA })[operation]
