import type { LayerReference, RecoveryPoint } from '../domain/recovery-point.ts'
import { footerLengthOf, footerTailBytes, openIndexFooter } from '../format/index-footer.ts'
import { attemptsRoot, intentsPrefix, layersRoot, revisionsPrefix, segmentsRoot, slicesRoot } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import { parseVaultName } from '../format/vault-name.ts'
import type { BlobEntry, BlobReader, CallOptions } from '../ports/blob-store.ts'
import { compactionIdPrefix } from './compaction-intents.ts'
import { inBatches } from './in-batches.ts'
import { type Intent, readIntent } from './intents.ts'
import { openLayer } from './layer-reader.ts'
import { type ListedPoint, listNewest, listVms, newestOf } from './list-vm-keys.ts'
import { readExactly } from './objects.ts'
import type { PointState, Reachability, Unreadable } from './reachability.ts'
import { readRevision } from './recovery-points.ts'

/** Records and footers read at the same time; the footer of a full 32 TiB disk has 8 MiB. */
const readsAtOnce = 16

/** Reads the newest revision of every commit record that is not known yet, and the footers of the layers that it names: their lists of
 * segments, no index. */
export const readRecords = async (vault: BlobReader, reach: Reachability, options: CallOptions): Promise<void> => {
  await inBatches(newestRevisions(vault, options), readsAtOnce, async (key) => {
    await readIfChanged(vault, reach, key, options)
  })
}

/** The same behind `readIntents`, wherever something is to be removed. Of a recovery point that is first found here, earlier revisions count, too:
 * an intent could not be followed to it, or has come since, and a fold may have re-pointed it meanwhile. */
export const readRecordsAgain = async (vault: BlobReader, reach: Reachability, options: CallOptions): Promise<void> => {
  await inBatches(newestRevisions(vault, options), readsAtOnce, async (key) => {
    const isKnown = reach.points.has(key.recoveryPointId)
    await readIfChanged(vault, reach, key, options)
    if (!isKnown) await addAllRevisions(vault, reach, key.recoveryPointId, options)
  })
}

const readIfChanged = async (
  vault: BlobReader,
  reach: Reachability,
  key: ListedPoint,
  options: CallOptions,
): Promise<void> => {
  const known = reach.points.get(key.recoveryPointId)
  if (known?.newest !== key.revision) await markPoint(vault, reach, key, options)
}

/** Learns of the compactions that have made anything, be it the mark of an attempt. Comes before `readIntents`: one that is not known here may be at
 * work, and what it makes is left alone. */
export const readCompactions = async (
  { vault, control }: { readonly vault: BlobReader; readonly control: BlobReader },
  reach: Reachability,
  options: CallOptions,
): Promise<void> => {
  for await (const { name } of control.list(`${attemptsRoot}${compactionIdPrefix}`, options))
    reach.compactions.add(name.slice(attemptsRoot.length).split('/')[0] ?? '')
  for (const root of [layersRoot, slicesRoot, segmentsRoot])
    for await (const { name } of vault.list(`${root}${compactionIdPrefix}`, options)) {
      const parsed = parseVaultName(name)
      if (parsed.kind === 'layer' || parsed.kind === 'slice' || parsed.kind === 'segment')
        reach.compactions.add(parsed.id)
    }
}

async function* newestRevisions(vault: BlobReader, options: CallOptions): AsyncGenerator<ListedPoint> {
  for await (const vm of listVms(vault, null, options)) yield* newestOf(vm)
}

const markPoint = async (
  vault: BlobReader,
  reach: Reachability,
  key: ListedPoint,
  options: CallOptions,
): Promise<void> => {
  const { vmKey, recoveryPointId, revision, hasOlder } = key
  const note = (state: PointState): void =>
    void reach.points.set(recoveryPointId, { vmKey, newest: revision, hasOlder, state })
  try {
    const found = await readRevision(vault, key, revision, options)
    // Only older revisions are ever removed: a newer one has come since this one was listed.
    if (found === null) return await markAgain(vault, reach, key, options)
    if ('disks' in found.record) {
      await addRecord(vault, reach, found.record, options)
      note('live')
    } else note('aborted' in found.record ? 'aborted' : 'expired')
  } catch (error) {
    reach.unreadable.push(unreadableBy(error, `${revisionsPrefix(vmKey, recoveryPointId)}*`))
    note('unreadable')
  }
}

const markAgain = async (
  vault: BlobReader,
  reach: Reachability,
  key: ListedPoint,
  options: CallOptions,
): Promise<void> => {
  for (const newer of await listNewest(vault, revisionsPrefix(key.vmKey, key.recoveryPointId), options))
    if (newer.revision > key.revision) await markPoint(vault, reach, newer, options)
}

/** @throws whatever is not the fault of stored bytes */
const unreadableBy = (error: unknown, name: string, isSuperseded = false): Unreadable => {
  if (!(error instanceof VaultError)) throw error
  return { name: 'name' in error.fault ? error.fault.name : name, reason: error.fault.code, isSuperseded }
}

/** @param layersMayBeGone for a revision that may not be the newest: layers are given up once its recovery point is re-pointed */
const addRecord = async (
  vault: BlobReader,
  reach: Reachability,
  { disks }: RecoveryPoint,
  options: CallOptions,
  layersMayBeGone = false,
): Promise<void> => {
  for (const { stack, sidecar } of disks) {
    if (sidecar !== null) reach.sidecars.add(sidecar.sidecarId)
    for (const layer of stack) await addLayer(vault, reach, layer, options, layersMayBeGone)
  }
}

const addLayer = async (
  vault: BlobReader,
  reach: Reachability,
  layer: LayerReference,
  options: CallOptions,
  mayBeGone: boolean,
): Promise<void> => {
  if (reach.layers.has(layer.layerId)) return
  reach.layers.add(layer.layerId)
  try {
    reach.addSegments((await openLayer(vault, layer, options)).footer.segmentRanges)
  } catch (error) {
    const fault = unreadableBy(error, layer.layerId)
    if (!mayBeGone || fault.reason !== 'object-missing') reach.unreadable.push(fault)
    else reach.layers.delete(layer.layerId)
  }
}

/** A layer that no record names and that is kept all the same: what it uses is kept, too. */
export const addUnnamedLayer = async (
  vault: BlobReader,
  reach: Reachability,
  { name, lengthBytes }: BlobEntry,
  options: CallOptions,
): Promise<void> => {
  const read = (offsetBytes: number) =>
    readExactly(vault, name, { offsetBytes, lengthBytes: lengthBytes - offsetBytes }, options)
  try {
    const tailAt = Math.max(0, lengthBytes - footerTailBytes)
    const footerBytes = footerLengthOf(await read(tailAt), { name, place: tailAt })
    const place = Math.max(0, lengthBytes - footerBytes)
    reach.addSegments(openIndexFooter(await read(place), { name, place }, lengthBytes).segmentRanges)
  } catch (error) {
    reach.unreadable.push(unreadableBy(error, name))
  }
}

/** Marks what running jobs depend on: every revision of each recovery point that an intent names. Comes before `readRecordsAgain`: a job that ends
 * in between has its record by then.
 * @param reach knows the recovery points of an earlier `readRecords`
 * @returns the intents of jobs; a compaction has none, and ends by itself
 * @throws VaultError where an intent cannot be read */
export const readIntents = async (
  from: { readonly vault: BlobReader; readonly control: BlobReader },
  reach: Reachability,
  options: CallOptions,
): Promise<readonly Intent[]> => {
  const ofJobs: Intent[] = []
  const needed = new Set<string>()
  await inBatches(from.control.list(intentsPrefix, options), readsAtOnce, async ({ name }) => {
    const intent = await readIntent(from.control, name, options)
    // One that ends meanwhile may be left out: what it stood for is decided by then.
    if (intent === null) return
    const { kind, id, makes, dependsOn } = intent
    if (kind !== 'compaction') ofJobs.push(intent)
    for (const own of [id, ...(makes ?? [])]) reach.protectedIds.add(own)
    for (const recoveryPointId of dependsOn) needed.add(recoveryPointId)
  })
  for (const recoveryPointId of needed) reach.protectedIds.add(recoveryPointId)
  await inBatches(needed, readsAtOnce, (recoveryPointId) =>
    addAllRevisions(from.vault, reach, recoveryPointId, options),
  )
  return ofJobs
}

const addAllRevisions = async (
  vault: BlobReader,
  reach: Reachability,
  recoveryPointId: string,
  options: CallOptions,
): Promise<void> => {
  const point = reach.points.get(recoveryPointId)
  if (point === undefined) return
  const key = { vmKey: point.vmKey, recoveryPointId }
  for await (const { name } of vault.list(revisionsPrefix(key.vmKey, recoveryPointId), options)) {
    const parsed = parseVaultName(name)
    if (parsed.kind !== 'recoveryPoint') continue
    // What it needs is marked.
    if (point.state === 'live' && parsed.revision === point.newest) continue
    try {
      const found = await readRevision(vault, key, parsed.revision, options)
      if (found !== null && 'disks' in found.record) await addRecord(vault, reach, found.record, options, true)
    } catch (error) {
      const isSuperseded = point.state === 'live' && parsed.revision < point.newest
      reach.unreadable.push(unreadableBy(error, name, isSuperseded))
    }
  }
}
