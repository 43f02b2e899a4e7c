import type { MessagePort } from 'node:worker_threads'
import type { StorageSettings } from '../config.ts'
import { VaultError } from '../format/vault-error.ts'
import { StorageError } from '../ports/blob-store.ts'
import { SourceError } from '../ports/disk-reader.ts'
import type { SliceProgress, SliceTransfer, TransferSliceRequest } from '../vault/transfer-slice.ts'

/** What one thread tells another about one slice: plain data alone. Each slice has a channel of its own, which is closed at its end. */
export interface SliceOrder {
  /** Holds a connection string or names an identity. */
  readonly storage: StorageSettings
  /** Secret, as all of this: it is passed on and neither logged nor kept. */
  readonly sasUrl: string
  readonly request: PlainRequest
  readonly isStoppable: boolean
  readonly channel: MessagePort
}

/** The part of a request that is data. */
export type PlainRequest = Omit<TransferSliceRequest, 'onProgress' | 'shouldStop' | 'signal'>

/** Whether to stop: a boolean. The token for the storage account: a text, secret. */
export type Question = 'shouldStop' | 'token'

/** From the thread that moves the slice. */
export type FromThread =
  | { readonly kind: 'progress'; readonly progress: SliceProgress }
  | { readonly kind: 'ask'; readonly question: Question }
  | { readonly kind: 'moved'; readonly transfer: SliceTransfer }
  | { readonly kind: 'failed'; readonly error: CarriedError }

/** To the thread that moves the slice. */
export type ToThread =
  | { readonly kind: 'answer'; readonly to: Question; readonly value: string | boolean }
  | { readonly kind: 'unknown'; readonly to: Question; readonly error: CarriedError }
  | { readonly kind: 'abort' }

/** An error as data: classes do not cross a thread, and what they decide for their reader must. */
export type CarriedError =
  | { readonly kind: 'source'; readonly fault: SourceError['fault'] }
  | { readonly kind: 'storage'; readonly fault: StorageError['fault'] }
  | { readonly kind: 'vault'; readonly fault: VaultError['fault'] }
  | { readonly kind: 'other'; readonly name: string; readonly message: string }

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
