import * as v from 'valibot'
import { isId } from '../domain/ids.ts'
import type { RecoveryPoint } from '../domain/recovery-point.ts'
import { digestHex } from '../format/digest.ts'
import { decodeSealedJson } from '../format/sealed-json.ts'
import { VaultError } from '../format/vault-error.ts'

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

const isLayerId = (text: string): boolean => text.split('/').length === 2 && text.split('/').every(isId)

const layerReference = v.object({
  layerId: v.pipe(v.string(), v.check(isLayerId, 'a layer id is <recoveryPointId>/<disk>')),
  lengthBytes: count,
  footerBytes: count,
  digest,
})

const committedDisk = v.object({
  disk: v.string(),
  name: v.string(),
  sizeBytes: count,
  source: v.object({
    kind: v.picklist(['diskRestorePoint', 'diskSnapshot']),
    resourceId: v.string(),
    familyId: v.nullable(v.string()),
    sourceUniqueId: v.string(),
  }),
  transfer: v.picklist(['full', 'incremental']),
  fullReason: v.nullable(v.string()),
  stack: v.array(layerReference),
  changedBytes: count,
  readBytes: count,
  storedPlainBytes: count,
  storedBytes: count,
})

const recoveryPoint = v.object({
  format: v.literal(0),
  recoveryPointId: v.string(),
  revision: count,
  vmKey: v.string(),
  jobId: v.string(),
  takenAt: v.string(),
  committedAt: v.string(),
  consistency,
  consistentAcrossDisks: v.boolean(),
  baseRecoveryPointId: v.nullable(v.string()),
  previous: v.nullable(v.object({ recoveryPointId: v.string(), digest })),
  keyId: v.nullable(v.string()),
  merkleRoot: digest,
  vm,
  disks: v.array(committedDisk),
})

/** A fence: the recovery point of this name will never exist (docs/format.md, section 7). */
const abortedRecord = v.object({
  format: v.literal(0),
  aborted: v.literal(true),
  recoveryPointId: v.string(),
  revision: count,
  vmKey: v.string(),
})

export type CommitRecord = RecoveryPoint | Readonly<v.InferOutput<typeof abortedRecord>>

/** The record, proven and parsed. @throws VaultError where a byte, the shape, the name or the Merkle root is wrong */
export const parseCommitRecord = (
  bytes: Uint8Array,
  name: string,
  key: { readonly vmKey: string; readonly recoveryPointId: string; readonly revision: number },
): CommitRecord => {
  const sealed = decodeSealedJson(bytes, name)
  const version = v.safeParse(v.object({ format: count }), sealed)
  if (version.success && version.output.format !== 0)
    throw new VaultError({ code: 'unsupported-version', name, version: version.output.format })
  const parsed = v.safeParse(isAborted(sealed) ? abortedRecord : recoveryPoint, sealed)
  if (!parsed.success) throw new VaultError({ code: 'malformed', name, place: 0, detail: v.summarize(parsed.issues) })
  const record: CommitRecord = parsed.output
  const expected = `${key.vmKey}/${key.recoveryPointId}/${key.revision}`
  const actual = `${record.vmKey}/${record.recoveryPointId}/${record.revision}`
  if (actual !== expected) throw new VaultError({ code: 'wrong-birth', name, place: 0, expected, actual })
  if ('disks' in record) checkRoot(record, name)
  return record
}

/** SHA-256 over the layer digests of all stacks, disk by disk, newest first; hex. */
export const merkleRootOf = (disks: RecoveryPoint['disks']): string =>
  digestHex(Buffer.from(disks.flatMap((disk) => disk.stack.map((layer) => layer.digest)).join(''), 'hex'))

const isAborted = (record: unknown): boolean => typeof record === 'object' && record !== null && 'aborted' in record

const checkRoot = (record: RecoveryPoint, name: string): void => {
  const actual = merkleRootOf(record.disks)
  if (actual !== record.merkleRoot)
    throw new VaultError({ code: 'digest-mismatch', name, place: 0, expected: record.merkleRoot, actual })
}
