import * as v from 'valibot'
import { isDisk, isId } from '../domain/ids.ts'
import type { RecoveryPoint } from '../domain/recovery-point.ts'
import { isKeyId } from '../format/data-key.ts'
import { digestHex } from '../format/digest.ts'
import { isFooterLength } from '../format/index-footer.ts'
import { decodeSealedJson } from '../format/sealed-json.ts'
import { formatVersion, sectorBytes } from '../format/sectors.ts'
import { VaultError } from '../format/vault-error.ts'
import { parseRecord, requireBirth, requireFormat } from './parse-record.ts'

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))
const consistency = v.picklist(['crash', 'fileSystem', 'application'])
const texts = v.record(v.string(), v.string())

const vmDisk = v.object({
  disk: v.string(),
  name: v.string(),
  diskId: v.string(),
  uniqueId: v.string(),
  sizeBytes: count,
  sku: v.string(),
  zones: v.array(v.string()),
  caching: v.nullable(v.string()),
})

const vm = v.object({
  vmId: v.string(),
  vmKey: v.string(),
  name: v.string(),
  location: v.string(),
  resourceGroup: v.string(),
  osType: v.picklist(['Linux', 'Windows']),
  hyperVGeneration: v.nullable(v.picklist(['V1', 'V2'])),
  isRunning: v.boolean(),
  tags: texts,
  imageReference: v.nullable(v.string()),
  disks: v.array(vmDisk),
  unsupported: v.array(v.object({ disk: v.string(), reason: v.string() })),
  configuration: v.record(v.string(), v.unknown()),
})

const id = v.pipe(v.string(), v.check(isId, 'is no id'))
const diskLabel = v.pipe(v.string(), v.check(isDisk, 'is neither os nor lun-<n>'))

const isPath = (text: string): boolean => {
  const [first = '', second = '', ...rest] = text.split('/')
  return rest.length === 0 && isId(first) && isDisk(second)
}

const hasFooter = (reference: { readonly lengthBytes: number; readonly footerBytes: number }): boolean =>
  isFooterLength(reference.footerBytes, reference.lengthBytes)

/** What places and proves an object that ends with a footer. */
const footed = { lengthBytes: count, footerBytes: count, digest }

const layerReference = v.pipe(
  v.object({
    layerId: v.pipe(v.string(), v.check(isPath, 'a layer id is <id>/<disk>')),
    ...footed,
  }),
  v.check((reference) => hasFooter(reference), 'a footer has no such length'),
)

const sidecarReference = v.pipe(
  v.object({
    sidecarId: v.pipe(v.string(), v.check(isPath, 'a sidecar id is <recoveryPointId>/<disk>')),
    ...footed,
  }),
  v.check((reference) => hasFooter(reference), 'a footer has no such length'),
)

const committedDisk = v.object({
  disk: diskLabel,
  name: v.string(),
  sizeBytes: v.pipe(count, v.multipleOf(sectorBytes)),
  source: v.object({
    kind: v.picklist(['diskRestorePoint', 'diskSnapshot']),
    resourceId: v.string(),
    familyId: v.nullable(v.string()),
    sourceUniqueId: v.string(),
  }),
  transfer: v.picklist(['full', 'incremental']),
  fullReason: v.nullable(v.string()),
  stack: v.array(layerReference),
  sidecar: v.nullable(sidecarReference),
  compression: v.picklist(['zstd', 'none']),
  changedBytes: count,
  readBytes: count,
  joinedBytes: count,
  storedPlainBytes: count,
  storedBytes: count,
})

const recoveryPoint = v.object({
  format: v.literal(formatVersion),
  recoveryPointId: v.string(),
  revision: count,
  vmKey: v.string(),
  jobId: v.string(),
  takenAt: v.string(),
  committedAt: v.string(),
  consistency,
  consistentAcrossDisks: v.boolean(),
  baseRecoveryPointId: v.nullable(v.string()),
  previous: v.nullable(v.object({ recoveryPointId: id, digest: v.nullable(digest) })),
  keyId: v.nullable(v.pipe(v.string(), v.check(isKeyId, 'is no id of a data key'))),
  merkleRoot: digest,
  vm,
  disks: v.pipe(
    v.array(committedDisk),
    v.check((disks) => new Set(disks.map(({ disk }) => disk)).size === disks.length, 'a disk is named twice'),
  ),
})

/** A fence: the recovery point of this name will never exist (docs/format.md, section 7). */
const abortedRecord = v.object({
  format: v.literal(formatVersion),
  aborted: v.literal(true),
  recoveryPointId: v.string(),
  revision: v.literal(1),
  vmKey: v.string(),
})

/** The end of a recovery point: it is neither listed nor restored, and its objects may be gone. */
const expiredRecord = v.object({
  format: v.literal(formatVersion),
  expired: v.literal(true),
  recoveryPointId: v.string(),
  revision: v.pipe(count, v.minValue(2)),
  vmKey: v.string(),
})

/** A recovery point, a fence in its place, or its end; told apart by `disks`, `aborted` and `expired`. */
export type CommitRecord =
  | RecoveryPoint
  | Readonly<v.InferOutput<typeof abortedRecord>>
  | Readonly<v.InferOutput<typeof expiredRecord>>

/** The record, proven and parsed. @throws VaultError where a byte, the shape, the name or the Merkle root is wrong */
export const parseCommitRecord = (
  bytes: Uint8Array,
  name: string,
  key: { readonly vmKey: string; readonly recoveryPointId: string; readonly revision: number },
): CommitRecord => {
  const sealed = decodeSealedJson(bytes, name)
  requireFormat(sealed, name)
  const record: CommitRecord = parseRecord(schemaOf(sealed), sealed, name)
  const expected = `${key.vmKey}/${key.recoveryPointId}/${key.revision}`
  const actual = `${record.vmKey}/${record.recoveryPointId}/${record.revision}`
  requireBirth(name, expected, actual)
  if ('disks' in record) checkRoot(record, name)
  return record
}

/** SHA-256 over digests, disk by disk: those of the stack's layers, newest first, then the sidecar's if there is one; hex. */
export const merkleRootOf = (disks: RecoveryPoint['disks']): string => {
  const digests = disks.flatMap(({ stack, sidecar }) => [
    ...stack.map((layer) => layer.digest),
    ...(sidecar === null ? [] : [sidecar.digest]),
  ])
  return digestHex(Buffer.from(digests.join(''), 'hex'))
}

const schemaOf = (record: unknown) => {
  if (typeof record !== 'object' || record === null) return recoveryPoint
  if ('aborted' in record) return abortedRecord
  return 'expired' in record ? expiredRecord : recoveryPoint
}

const checkRoot = (record: RecoveryPoint, name: string): void => {
  const actual = merkleRootOf(record.disks)
  if (actual !== record.merkleRoot)
    throw new VaultError({ code: 'digest-mismatch', name, place: 0, expected: record.merkleRoot, actual })
}
