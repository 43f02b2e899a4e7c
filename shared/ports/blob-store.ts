/**
 * The object store, split by what its user may do. A restore is handed a BlobReader, a backup a BlobCreator, a collector a VaultStore;
 * only the control container, which is never under an immutability policy, is a ControlStore.
 *
 * Contract of every implementation: an object is seen whole or not at all; what a call has reported as written is read back
 * by every later call (Azure Blob Storage is strongly consistent per object); names are byte-wise sorted in listings.
 * Failures that another try may cure are thrown as StorageError with `isRetryable`; implementations have spent their own
 * retries by then.
 */
export interface ObjectReader {
  /** The whole object, or null where there is none. For objects known to be small: at most `lengthBytesMax` (default 64 MiB). The bytes are
   * the caller's own. */
  read(name: string, options?: ReadOptions): Promise<BlobContent | null>
  /** Exactly `lengthBytes` bytes from `offsetBytes`; null where there is no such object. A shorter object throws StorageError `short-object`.
   * The bytes are the caller's own: it may give their memory back. */
  readRange(name: string, offsetBytes: number, lengthBytes: number, options?: RangeOptions): Promise<Uint8Array | null>
}

/** Reads, and finds by name. */
export interface BlobReader extends ObjectReader {
  /** Objects whose names start with `prefix`, sorted by name, page by page in bounded memory. */
  list(prefix: string, options?: CallOptions): AsyncIterable<BlobEntry>
}

/** All that moving a slice needs. */
export interface ObjectCreator extends ObjectReader {
  /** Creates the object if no object of that name exists (If-None-Match: *). The parts are written one after another as one
   * object. `exists` also when an earlier try of this very call took effect and its answer was lost: callers whose name is not
   * theirs alone must read the object to tell. */
  create(name: string, parts: readonly Uint8Array[], options?: CallOptions): Promise<'created' | 'exists'>
}

/** Reads, and makes what is not there: nothing that it can do changes or removes an object. */
export interface BlobCreator extends BlobReader, ObjectCreator {
  /** The same for objects too large to hold: parts (each at most 64 MiB) are staged as they come and become visible together.
   * The memory of a part may be gone when the next one is asked for. */
  createFromStream(name: string, parts: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<'created' | 'exists'>
}

/** The vault as its collector sees it. Objects are never overwritten, and nothing relies on their removal. */
export interface VaultStore extends BlobCreator {
  /** Gives the object up that was listed with this ETag; one that was made anew under its name is another and stays (`changed`). `removed` also
   * where versioning or soft delete only hide it; `retained` where an immutability policy or a legal hold keeps it, which is no fault.
   * Where an answer was lost, the repeated call tells what it finds. */
  purge(name: string, etag: string, options?: CallOptions): Promise<'removed' | 'absent' | 'changed' | 'retained'>
}

/** Everything: for objects that change, and for whoever removes. */
export interface ControlStore extends BlobCreator {
  /** Replaces the object only if its ETag still is `etag`. */
  replace(
    name: string,
    body: Uint8Array,
    etag: string,
    options?: CallOptions,
  ): Promise<{ readonly kind: 'replaced'; readonly etag: string } | { readonly kind: 'changed' }>
  /** Writes whatever was there before: progress and other records whose last writer may win. */
  put(name: string, body: Uint8Array, options?: CallOptions): Promise<void>
  /** Removes the object; with an ETag only if it is unchanged. */
  remove(name: string, etag?: string, options?: CallOptions): Promise<'removed' | 'absent' | 'changed'>
}

/** A whole object, as it was at one moment. */
export interface BlobContent {
  readonly bytes: Uint8Array
  readonly etag: string
}

/** An object as a listing tells of it. */
export interface BlobEntry {
  readonly name: string
  readonly lengthBytes: number
  readonly etag: string
  /** When the object was made, by the store's clock; absent where the store does not say. For costs alone, never for safety. */
  readonly createdAt?: Date
  /** Absent where the store has no tiers. */
  readonly tier?: AccessTier
}

/** What storing and early removal cost. Reading needs none of these to be woken up first, as archived objects would. */
export type AccessTier = 'Hot' | 'Cool' | 'Cold'

/** The signal ends the call with its reason; what was sent may still take effect. */
export interface CallOptions {
  readonly signal?: AbortSignal
}

/** For reads of a part. */
export interface RangeOptions extends CallOptions {
  /** Memory of just the length that is asked for, which may get the bytes; they are what is returned in any case. Not to be used for anything
   * else before the call has ended. */
  readonly into?: Uint8Array
}

/** For reads of a whole object: a longer one is refused with `too-large`, at 64 MiB where no length is given. */
export interface ReadOptions extends CallOptions {
  readonly lengthBytesMax?: number
}

/** `throttled` and `unreachable` pass with time. `short-object`: it ends before what was asked for. `too-large`: longer than the caller takes. */
export type StorageFault =
  | { readonly code: 'throttled'; readonly name: string; readonly retryAfterSeconds: number | null }
  | { readonly code: 'unreachable'; readonly name: string }
  | { readonly code: 'forbidden'; readonly name: string }
  | { readonly code: 'short-object'; readonly name: string }
  | { readonly code: 'too-large'; readonly name: string }
  | { readonly code: 'rejected'; readonly name: string; readonly status: number; readonly serviceCode: string }

/** What went wrong with one object, in plain words, with what to do next. Never holds a URL, a key or a token. */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly fault: StorageFault
  constructor(fault: StorageFault, options?: ErrorOptions) {
    super(explain(fault), options)
    this.fault = fault
  }
  get isRetryable(): boolean {
    return this.fault.code === 'throttled' || this.fault.code === 'unreachable'
  }
}

const explain = (fault: StorageFault): string => {
  switch (fault.code) {
    case 'throttled':
      return `The storage account is throttling (${fault.name}). Nothing is lost; the step is repeated.`
    case 'unreachable':
      return `The storage account does not answer (${fault.name}). Check its firewall and the network of the function app.`
    case 'forbidden':
      return `Access to ${fault.name} is refused. Give the function app's identity the role Storage Blob Data Contributor on the account.`
    case 'short-object':
      return `The object ${fault.name} is shorter than its index says. Run a verification of the vault.`
    case 'too-large':
      return `The object ${fault.name} is larger than this reader accepts.`
    case 'rejected':
      return `The storage account rejected ${fault.name} with ${fault.status} ${fault.serviceCode}.`
    default:
      return fault satisfies never
  }
}
