import type { ChangedRange } from '../domain/extent.ts'
import { pageBytes } from '../format/sectors.ts'
import { VaultError } from '../format/vault-error.ts'
import type { ArrivedRead } from './read-ahead.ts'

/** Tells whether the vault holds what a page of the source is. Asked in order of offset. */
export interface PageComparer {
  /** True only where it is proven that the layers below show exactly these bytes there.
   * @param bytes within one page of the disk
   * @throws VaultError where what is stored is damaged */
  isHeld(bytes: Buffer, offsetBytes: number): boolean | Promise<boolean>
  /** Ends its reads. */
  close(): Promise<void>
}

/** Takes out of each read what the vault holds already. */
export interface PageFilter {
  /** The same read, with those parts alone that have to be stored. */
  narrow(arrived: ArrivedRead): Promise<ArrivedRead>
  /** What was found damaged; null where nothing was. From there on everything is stored: it hides what is damaged. */
  readonly damage: VaultError | null
  close(): Promise<void>
}

/** Damage that newer data can hide is kept and told, not thrown; every other fault passes through. */
export const createPageFilter = (comparer: PageComparer): PageFilter => {
  let damage: VaultError | null = null
  const isHeld = async (bytes: Buffer, offsetBytes: number): Promise<boolean> => {
    if (damage !== null) return false
    try {
      const answer = comparer.isHeld(bytes, offsetBytes)
      return typeof answer === 'boolean' ? answer : await answer
    } catch (error) {
      if (!(error instanceof VaultError) || !canBeHidden(error)) throw error
      damage = error
      return false
    }
  }
  const differing = async (part: ChangedRange, bytes: Buffer): Promise<ChangedRange[]> => {
    const found: ChangedRange[] = []
    for (const piece of pagesOf(part)) {
      const from = piece.offsetBytes - part.offsetBytes
      if (await isHeld(bytes.subarray(from, from + piece.lengthBytes), piece.offsetBytes)) continue
      const last = found.at(-1)
      const touches = last !== undefined && last.offsetBytes + last.lengthBytes === piece.offsetBytes
      if (touches) found[found.length - 1] = { ...last, lengthBytes: last.lengthBytes + piece.lengthBytes }
      else found.push(piece)
    }
    return found
  }
  return {
    narrow: async ({ read, bytes }) => {
      const parts: ChangedRange[] = []
      for (const part of read.parts) {
        const from = part.offsetBytes - read.offsetBytes
        if (part.kind === 'clear') parts.push(part)
        else parts.push(...(await differing(part, bytes.subarray(from, from + part.lengthBytes))))
      }
      return { read: { ...read, parts }, bytes }
    },
    get damage() {
      return damage
    },
    close: () => comparer.close(),
  }
}

/** Damaged frames and hashes are no longer looked at once newer data lies over all they show. A layer's index is read whenever
 * its disk is: what lies on a damaged one cannot be restored. */
const canBeHidden = ({ fault }: VaultError): boolean => !fault.name.startsWith('layers/')

/** Cuts a range at the disk's page boundaries. */
function* pagesOf(range: ChangedRange): Generator<ChangedRange> {
  const end = range.offsetBytes + range.lengthBytes
  for (let at = range.offsetBytes; at < end; ) {
    const next = Math.min(end, at - (at % pageBytes) + pageBytes)
    yield { offsetBytes: at, lengthBytes: next - at, kind: range.kind }
    at = next
  }
}
