import { createHash } from 'node:crypto'
import type { KeyRing } from '../../../shared/format/data-key.ts'
import { VaultError } from '../../../shared/format/vault-error.ts'
import { type BlobReader, StorageError } from '../../../shared/ports/blob-store.ts'
import type { DiskWriter } from '../../../shared/ports/disk-writer.ts'
import { readRecoveryPoint } from '../../../shared/vault/recovery-points.ts'
import { restoreRange } from '../../../shared/vault/restore-range.ts'

const pageBytes = 4096
/** Any disk in one step. */
const budgetBytes = 2 ** 50

/** What the app's own reader says of one disk. */
export type OurAnswer =
  | { readonly outcome: 'restored'; readonly digest: string }
  | { readonly outcome: 'refused'; readonly code: string; readonly name: string }

/** Restores a disk of a vault that may be damaged. A refusal names its object; whatever else is thrown is thrown on.
 * @param keys of the vault as it lies there: they may be damaged too */
export const restoreOurs = async (
  vault: BlobReader,
  keys: () => Promise<KeyRing>,
  of: { readonly vmKey: string; readonly recoveryPointId: string; readonly disk: string },
): Promise<OurAnswer> => {
  try {
    const found = await readRecoveryPoint(vault, of)
    const { recoveryPoint } = found ?? refuse('not-found', of.recoveryPointId)
    const disk = recoveryPoint.disks.find((one) => one.disk === of.disk) ?? refuse('not-found', of.disk)
    const writer = pageWriter(disk.sizeBytes)
    const request = { recoveryPoint, disk: of.disk, fromOffsetBytes: 0, budgetBytes }
    await restoreRange({ vault, writer, keys: await keys() }, request)
    return { outcome: 'restored', digest: writer.digest() }
  } catch (error) {
    if (error instanceof Refusal) return { outcome: 'refused', code: error.code, name: error.object }
    if (error instanceof VaultError) return { outcome: 'refused', code: error.fault.code, name: nameOf(error.fault) }
    if (error instanceof StorageError) return { outcome: 'refused', code: error.fault.code, name: error.fault.name }
    throw error
  }
}

class Refusal extends Error {
  readonly code: string
  readonly object: string
  constructor(code: string, object: string) {
    super(code)
    this.code = code
    this.object = object
  }
}

const refuse = (code: string, object: string): never => {
  throw new Refusal(code, object)
}

const nameOf = (fault: VaultError['fault']): string => fault.name

/** A fresh disk of which only the pages that were written are held: its size may be anything. */
const pageWriter = (sizeBytes: number): DiskWriter & { digest(): string } => {
  const pages = new Map<number, Buffer>()
  return {
    counters: { writeCalls: 0, writtenBytes: 0 },
    write: async (offsetBytes, bytes) => {
      for (let at = 0; at < bytes.length; ) {
        const page = Math.floor((offsetBytes + at) / pageBytes)
        const inside = (offsetBytes + at) % pageBytes
        const end = Math.min(at + pageBytes - inside, bytes.length)
        const held = pages.get(page) ?? Buffer.alloc(pageBytes)
        held.set(bytes.subarray(at, end), inside)
        pages.set(page, held)
        at = end
      }
    },
    writeFooter: async () => undefined,
    close: () => undefined,
    digest: () => shownPages(sizeBytes, pages),
  }
}

/** Tells disks apart as the second reader's `batch` does: SHA-256 of the size and, in order, the number and bytes of each page that is not zero. */
const shownPages = (sizeBytes: number, pages: ReadonlyMap<number, Buffer>): string => {
  const digest = createHash('sha256').update(u64(sizeBytes))
  const zero = Buffer.alloc(pageBytes)
  for (const [page, bytes] of [...pages].sort(([a], [b]) => a - b))
    if (!bytes.equals(zero)) digest.update(u64(page)).update(bytes)
  return digest.digest('hex')
}

const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
