import { isId } from '../domain/ids.ts'

/** What an object of the vault container is, told by its name alone. `id` is a recovery point's or a compaction's. */
export type VaultName =
  | {
      readonly kind: 'segment'
      readonly id: string
      readonly disk: string
      readonly slice: number
      readonly attempt: number
      readonly n: number
    }
  | { readonly kind: 'slice'; readonly id: string; readonly disk: string; readonly slice: number }
  | { readonly kind: 'layer' | 'sidecar'; readonly id: string; readonly disk: string }
  | {
      readonly kind: 'recoveryPoint'
      readonly vmKey: string
      readonly recoveryPointId: string
      readonly revision: number
    }
  | { readonly kind: 'key'; readonly keyId: string; readonly revision: number }
  | { readonly kind: 'other' }

const other: VaultName = { kind: 'other' }

/** Takes a name apart as docs/format.md, section 2, puts it together. Names that this project would not make are `other`. */
export const parseVaultName = (name: string): VaultName => {
  const [folder = '', first = '', second = '', third, ...rest] = name.split('/')
  if (rest.length > 0 || !isId(first) || !isId(second)) return other
  if (third === undefined) return twoParts(folder, first, second)
  return threeParts(folder, first, second, third)
}

const twoParts = (folder: string, first: string, second: string): VaultName => {
  if (folder === 'layers') return { kind: 'layer', id: first, disk: second }
  if (folder === 'sidecars') return { kind: 'sidecar', id: first, disk: second }
  const revision = revisionOf(second)
  if (folder === 'keys' && revision !== null) return { kind: 'key', keyId: first, revision }
  return other
}

const threeParts = (folder: string, first: string, second: string, third: string): VaultName => {
  const slice = /^\d{6}$/.test(third) ? Number(third) : null
  if (folder === 'slices' && slice !== null) return { kind: 'slice', id: first, disk: second, slice }
  const revision = revisionOf(third)
  if (folder === 'recovery-points' && revision !== null)
    return { kind: 'recoveryPoint', vmKey: first, recoveryPointId: second, revision }
  const segment = /^(\d{6})\.(\d{4})-(\d{5})$/.exec(third)
  if (folder !== 'segments' || segment === null) return other
  const [, inSlice, attempt, n] = segment
  const numbers = { slice: Number(inSlice), attempt: Number(attempt), n: Number(n) }
  return { kind: 'segment', id: first, disk: second, ...numbers }
}

const revisionOf = (text: string): number | null => {
  const match = /^(\d{4})\.json$/.exec(text)
  return match === null ? null : Number(match[1])
}
