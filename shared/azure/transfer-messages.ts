import type { MessagePort } from 'node:worker_threads'
import type { StorageSettings } from '../config.ts'
import type { Extent } from '../domain/extent.ts'
import type { DataKey } from '../format/data-key.ts'
import { VaultError } from '../format/vault-error.ts'
import { StorageError } from '../ports/blob-store.ts'
import { SourceError } from '../ports/disk-reader.ts'
import type { RestoreLane, WrittenPart } from '../vault/restore-lane.ts'
import type { SliceProgress, SliceTransfer, TransferSliceRequest } from '../vault/transfer-slice.ts'

/** What one thread tells another about one piece of work: plain data alone. Each has a channel of its own, which is closed at its end. */
export type ThreadOrder = SliceOrder | LaneOrder

interface OrderHead {
  /** Holds a connection string or names an identity. */
  readonly storage: StorageSettings
  /** Secret, as all of this: it is passed on and neither logged nor kept. */
  readonly sasUrl: string
  readonly channel: MessagePort
}

/** A slice to move. `isStoppable`: the other side answers whether to stop. */
export interface SliceOrder extends OrderHead {
  readonly kind: 'slice'
  readonly request: PlainRequest
  readonly isStoppable: boolean
}

/** A lane of a restore; the disk is written through the URL. */
export interface LaneOrder extends OrderHead {
  readonly kind: 'lane'
  readonly lane: PlainLane
  /** Secret. */
  readonly keys: readonly DataKey[]
}

/** The part of a request that is data. */
export type PlainRequest = Omit<TransferSliceRequest, 'onProgress' | 'shouldStop' | 'signal'>
/** The part of a lane that is data. */
export type PlainLane = Omit<RestoreLane, 'nextPart' | 'signal'>

/** Whether to stop: a boolean. The token for the storage account: a text, secret. The next part of a disk: an extent, or null. */
export type Question =
  | { readonly of: 'shouldStop' }
  | { readonly of: 'token' }
  | { readonly of: 'part'; readonly written: WrittenPart | null }

/** Which of them it is follows from the question. */
export type Answer = string | boolean | Extent | null

/** What the work came to: nothing more for a lane, whose parts have been told. */
export type WorkResult = SliceTransfer | null

/** From the thread that works. */
export type FromThread =
  | { readonly kind: 'progress'; readonly progress: SliceProgress }
  | { readonly kind: 'ask'; readonly question: Question }
  | { readonly kind: 'done'; readonly result: WorkResult }
  | { readonly kind: 'failed'; readonly error: CarriedError }

/** To the thread that works. */
export type ToThread =
  | { readonly kind: 'answer'; readonly to: Question['of']; readonly value: Answer }
  | { readonly kind: 'unknown'; readonly to: Question['of']; readonly error: CarriedError }
  | { readonly kind: 'abort' }

/** An error as data: classes do not cross a thread, and what they decide for their reader must. */
export type CarriedError =
  | { readonly kind: 'source'; readonly fault: SourceError['fault'] }
  | { readonly kind: 'storage'; readonly fault: StorageError['fault'] }
  | { readonly kind: 'vault'; readonly fault: VaultError['fault'] }
  | { readonly kind: 'other'; readonly name: string; readonly message: string }

/** The error as data that may cross a thread; of one that nobody decides by, name and message alone. `carriedError` makes it an error again. */
export const carryError = (error: unknown): CarriedError => {
  if (error instanceof SourceError) return { kind: 'source', fault: error.fault }
  if (error instanceof StorageError) return { kind: 'storage', fault: error.fault }
  if (error instanceof VaultError) return { kind: 'vault', fault: error.fault }
  return error instanceof Error
    ? { kind: 'other', name: error.name, message: error.message }
    : { kind: 'other', name: 'Error', message: String(error) }
}

/** The error again, of its own class. */
export const carriedError = (carried: CarriedError): Error => {
  switch (carried.kind) {
    case 'source':
      return new SourceError(carried.fault)
    case 'storage':
      return new StorageError(carried.fault)
    case 'vault':
      return new VaultError(carried.fault)
    case 'other':
      return Object.assign(new Error(carried.message), { name: carried.name })
    default:
      return carried satisfies never
  }
}
