/** The only source of time outside `functions/orchestrators`, which ask their context. */
export interface Clock {
  now(): Date
  /** Resolves after about that many milliseconds; rejects with the signal's reason when aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
}
