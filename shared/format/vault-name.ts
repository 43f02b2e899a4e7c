import { isDisk, isId } from '../domain/ids.ts'
import { isKeyId } from './data-key.ts'

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

/** Takes a name apart as docs/format.md, section 2, puts it together; any other name is `other`: it is no part of the vault. */
export const parseVaultName = (name: string): VaultName => {
  const [folder = '', first = '', second = '', third, ...rest] = name.split('/')
  if (rest.length > 0 || !isId(first)) return other
  if (folder === 'keys') return third === undefined ? keyOf(first, second) : other
  if (folder === 'recovery-points') return third === undefined ? other : recordOf(first, second, third)
  return isDisk(second) ? ofDisk(folder, first, second, third) : other
}

const keyOf = (keyId: string, file: string): VaultName => {
  const revision = revisionOf(file)
  return revision === null || !isKeyId(keyId) ? other : { kind: 'key', keyId, revision }
}

const recordOf = (vmKey: string, recoveryPointId: string, file: string): VaultName => {
  const revision = revisionOf(file)
  return revision === null || !isId(recoveryPointId)
    ? other
    : { kind: 'recoveryPoint', vmKey, recoveryPointId, revision }
}

const ofDisk = (folder: string, id: string, disk: string, rest: string | undefined): VaultName => {
  if (rest === undefined) {
    if (folder === 'layers') return { kind: 'layer', id, disk }
    return folder === 'sidecars' ? { kind: 'sidecar', id, disk } : other
  }
  if (folder === 'slices') return /^\d{6}$/.test(rest) ? { kind: 'slice', id, disk, slice: Number(rest) } : other
  const segment = /^(\d{6})\.(\d{4})-(\d{5})$/.exec(rest)
  if (folder !== 'segments' || segment === null || segment[2] === '0000') return other
  const [slice = 0, attempt = 0, n = 0] = segment.slice(1).map(Number)
  return { kind: 'segment', id, disk, slice, attempt, n }
}

const revisionOf = (file: string): number | null => {
  const match = /^(\d{4})\.json$/.exec(file)
  return match === null || match[1] === '0000' ? null : Number(match[1])
}
