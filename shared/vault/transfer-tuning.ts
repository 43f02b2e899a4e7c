/** What a transfer may hold in memory and in flight. The sum of the buffers is the transfer's memory: about 45 MiB as set here, less
 * for a slice that is smaller. */
export interface TransferTuning {
  /** Holes up to this size are read through. 120 KiB costs as much as a request at 60 MiB/s and 500 requests/s (Azure page blob
   * targets). */
  readonly gapBytes: number
  readonly readBytesMax: number
  /** Memory of reads that are in flight or wait for their turn. */
  readonly readAheadBytes: number
  /** Scattered pages are bound by latency, not bytes. */
  readonly readsInFlightMax: number
  readonly frameCapacityBytes: number
  readonly segmentBytes: number
  /** Segments in memory, the one that fills among them: where data does not compress it waits for the store, so that all are uploaded. */
  readonly segmentsAtOnceMax: number
  readonly shardFramesMax: number
  readonly shardRunsMax: number
  /** How often a running slice asks whether to stop. */
  readonly stopCheckMilliseconds: number
}

const mib = 1024 * 1024

/** What transfers have where nothing else is asked for; measured, see docs/performance.md. */
export const defaultTuning: TransferTuning = {
  gapBytes: 120 * 1024,
  readBytesMax: 2 * mib,
  readAheadBytes: 8 * mib,
  readsInFlightMax: 128,
  frameCapacityBytes: mib,
  /** 16 incompressible frames with their headers. */
  segmentBytes: 16 * mib + 16 * 1024,
  segmentsAtOnceMax: 2,
  shardFramesMax: 256,
  shardRunsMax: 32_768,
  stopCheckMilliseconds: 5_000,
}
