import type { ChangedRange, Extent } from '../domain/extent.ts'

/** Reads one disk source. Offsets are offsets of the raw disk; the VHD footer behind it is never shown. */
export interface DiskReader {
  /** Bytes of the raw disk, footer excluded; a multiple of 512. */
  sizeBytes(options?: ReaderOptions): Promise<number>
  /** With a base: the ranges written or cleared since the base, in order of offset, not overlapping, clipped to the disk. Without one:
   * the allocated ranges (kind `data` only). Streams in pages as the platform lists them; a page may be empty.
   * @param window half-open part of the disk to list; all of it by default
   * @throws SourceError `diff-unsupported` where the platform cannot compare the two */
  listRanges(window: Extent | null, options?: ReaderOptions): AsyncIterable<readonly ChangedRange[]>
  /** Fills `target` with exactly its length of bytes from `offsetBytes`. */
  readInto(target: Uint8Array, offsetBytes: number, options?: ReaderOptions): Promise<void>
  /** Requests and bytes so far, for the report. */
  readonly counters: { readonly listCalls: number; readonly readCalls: number; readonly readBytes: number }
  /** Gives its sockets back. */
  close(): void
}

/** The signal ends the call with its reason. */
export interface ReaderOptions {
  readonly signal?: AbortSignal
}

/** `access-ended`, `throttled`, `unreachable` and `short-body` may pass; for `diff-unsupported` a transfer of all allocated ranges helps; `gone` and
 * `rejected` stay. */
export type SourceFault =
  | { readonly code: 'access-ended' }
  | { readonly code: 'throttled'; readonly retryAfterSeconds: number }
  | { readonly code: 'unreachable'; readonly detail: string }
  | { readonly code: 'diff-unsupported'; readonly serviceCode: string }
  | { readonly code: 'gone' }
  | { readonly code: 'rejected'; readonly status: number; readonly serviceCode: string }
  | { readonly code: 'short-body'; readonly expectedBytes: number; readonly actualBytes: number }

/** What went wrong with a disk source or a disk that is being restored. Never holds a URL. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly fault: SourceFault
  constructor(fault: SourceFault, options?: ErrorOptions) {
    super(explain(fault), options)
    this.fault = fault
  }
}

const explain = (fault: SourceFault): string => {
  switch (fault.code) {
    case 'access-ended':
      return 'The access to the disk source was revoked or has expired. It is granted anew at the next try.'
    case 'throttled':
      return `The platform is throttling reads of the disk source; it asks to wait ${fault.retryAfterSeconds} s.`
    case 'unreachable':
      return `The disk source does not answer (${fault.detail}). Check that the function app may reach it (networkAccessPolicy, private endpoints).`
    case 'diff-unsupported':
      return `The platform cannot compare the disk source with its base (${fault.serviceCode}). A transfer of all allocated ranges follows.`
    case 'gone':
      return 'The disk source no longer exists. Start a new backup.'
    case 'rejected':
      return `The platform rejected a request to the disk source with ${fault.status} ${fault.serviceCode}.`
    case 'short-body':
      return `The disk source sent ${fault.actualBytes} bytes where ${fault.expectedBytes} were asked for.`
    default:
      return fault satisfies never
  }
}
