import type { ChangedRange } from '../../../shared/domain/extent.ts'
import type { ContentKind } from './disk-store.ts'

/** What the data plane needs of the store: the bytes behind a SAS URL and what may be done with them. */
export interface DiskContents {
  /** The content that a SAS URL opens; null where the URL was never given, has expired or was revoked.
   * @param url path and query as sent, or a whole URL */
  authorize(url: URL): Promise<AuthorizedContent | null>
  /** Reads raw bytes and, behind them, the footer. The caller keeps inside sizeBytes + 512. */
  read(content: AuthorizedContent, target: Uint8Array, offsetBytes: number): Promise<void>
  /** Writes to an upload, footer included. */
  write(content: AuthorizedContent, bytes: Uint8Array, offsetBytes: number): Promise<void>
  /** Makes a range of an upload read as zeros. */
  clear(content: AuthorizedContent, offsetBytes: number, lengthBytes: number): Promise<void>
  /** Allocated ranges, a page at a time. The footer is not listed. */
  listAllocated(content: AuthorizedContent, window: ListWindow): Promise<RangeListing>
  /** Ranges that changed since an older snapshot of the same family. The answer is computed once and kept. */
  listChanged(content: AuthorizedContent, base: AuthorizedContent, window: ListWindow): Promise<ChangedListing>
  /** Changes with every write, also with writes by other programs to an adopted file. */
  version(content: AuthorizedContent): Promise<ContentVersion>
}

export interface AuthorizedContent {
  readonly uniqueId: string
  readonly kind: ContentKind
  readonly access: 'Read' | 'Write'
  /** Without the footer. */
  readonly sizeBytes: number
  readonly createdAt: Date
}

export interface ListWindow {
  readonly startBytes: number
  readonly endBytes: number
  readonly countMax: number
}

export interface RangeListing {
  readonly kind: 'listed'
  readonly ranges: readonly ChangedRange[]
  /** Null: the window has been listed to its end. */
  readonly nextOffsetBytes: number | null
}

/** `differentFamily`: not snapshots of one disk. `baseIsNewer`: taken after the target. `acrossResize`: the disk grew over 4 TiB
 * in between, where managed disks cannot compare. `notSnapshots`: a live disk has no diff. */
export type ChangedListing =
  | RangeListing
  | { readonly kind: 'refused'; readonly reason: 'differentFamily' | 'baseIsNewer' | 'acrossResize' | 'notSnapshots' }

export interface ContentVersion {
  /** With its quotation marks. */
  readonly etag: string
  readonly lastModified: Date
}
