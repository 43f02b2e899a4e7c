import type { ReaderOptions } from './disk-reader.ts'

/** Writes a fresh disk that reads as zeros wherever nothing was written. Writing the same bytes again is harmless. */
export interface DiskWriter {
  /** Writes whole 512-byte sectors; split into calls of at most 4 MiB by the writer. */
  write(offsetBytes: number, bytes: Uint8Array, options?: ReaderOptions): Promise<void>
  /** Writes the fixed-VHD footer behind the last byte; the disk cannot be used without it. */
  writeFooter(options?: ReaderOptions): Promise<void>
  readonly counters: { readonly writeCalls: number; readonly writtenBytes: number }
  close(): void
}
