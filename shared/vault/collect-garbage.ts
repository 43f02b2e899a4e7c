import { layersRoot } from '../format/names.ts'
import { parseVaultName } from '../format/vault-name.ts'
import type { BlobEntry, CallOptions, ControlStore, VaultStore } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import { collectControl } from './collect-control.ts'
import { type Condemned, dropCondemned, findCondemned, listPasses, writeCondemned } from './condemned.ts'
import type { Intent } from './intents.ts'
import { listIndexes } from './list-indexes.ts'
import { reportedLost } from './lost-records.ts'
import { addUnnamedLayer, readCompactions, readIntents, readRecords, readRecordsAgain } from './mark-reachable.ts'
import { callOptions } from './objects.ts'
import { createReachability, type Reachability, type Unreadable } from './reachability.ts'
import { recallMarks } from './recall-marks.ts'
import { type Swept, sweepVault, vaultIsSwept } from './sweep-vault.ts'

/** One call of a pass. */
export interface CollectRequest {
  /** Names the pass; a call with the same name takes up where the last one ended, or died. */
  readonly passId: string
  /** Objects that one call removes, at most, in each container. */
  readonly objectsMax: number
  /** False once the call's time is up: it ends soon, having come further all the same. */
  readonly hasTime?: () => boolean
  /** Where the call before ended, as it was told: what was looked at there is not looked at again. */
  readonly from?: string | null
  /** True for a job that has ended: what it left in the control container goes. Recovery points are known without it. */
  readonly hasEnded?: (jobId: string) => Promise<boolean>
  readonly signal?: AbortSignal
}

/** What one call came to. */
export interface Collected {
  /** `more`: the call has removed as much as it may, or its time is up; the pass goes on with the next one. */
  readonly kind: 'done' | 'more'
  /** Where it goes on; null when it is done. */
  readonly at: string | null
  readonly swept: Omit<Swept, 'cutAt'>
  /** Objects removed from the control container. */
  readonly removedFromControl: number
  /** Records and layers that cannot be read. While there are any, only what belongs to recovery points that never were is removed:
   * nobody knows what they name. Ending those recovery points, or bringing the objects back, lets the next pass go on. */
  readonly unreadable: readonly Unreadable[]
  /** Recovery points that have no commit record and no job that could still make one, and that layers, slices or a later record tell of. What they named
   * is known no better than what an unreadable record names, and the same is kept. Bringing the record back, or giving them up, lets the next pass go on. */
  readonly lostRecords: readonly string[]
}

/** Both containers, and a clock that decides about costs alone. */
export interface CollectDeps {
  readonly vault: VaultStore
  readonly control: ControlStore
  readonly clock: Pick<Clock, 'now'>
}

/** Layers that one pass condemns, at most: its list is read by every backup that begins meanwhile. What is left waits for the next pass. */
const layersMax = 20_000

/** Removes what no recovery point and no running job needs. It takes no lock, stops nobody and compares no clocks: the order of its steps
 * makes it safe next to backups, restores, folds and other passes (docs/adr/0015; test/model goes through all orders). What other passes left
 * unfinished is finished, too. Key: the pass; repeatable, also at the same time.
 * @throws VaultError where an intent or a condemned list cannot be read: nothing is removed then */
export const collectGarbage = async (deps: CollectDeps, request: CollectRequest): Promise<Collected> => {
  const options = callOptions(request.signal)
  const { passId } = request
  const reach = createReachability()
  const { layers, made } = await listIndexes(deps.vault, options)
  await recallMarks(deps, reach, layers, options)
  await readRecords(deps.vault, reach, options)
  await readCompactions(deps, reach, options)
  const begun = await unfinishedPasses(deps.control, options)
  const isNew = !begun.some((condemned) => condemned.passId === passId)
  const passes = isNew ? [...begun, await condemn(deps, reach, { passId, made }, options)] : begun
  const intents = await readIntents(deps, reach, options)
  await readRecordsAgain(deps.vault, reach, options)
  const lostRecords = await noteLost(deps.control, reach, { made, intents }, options)
  const condemned = together(passes)
  const going = { ...condemned, layers: await keepOtherLayers(deps, reach, condemned, options) }
  const { cutAt, ...swept } = await sweepVault(deps, reach, going, request, options)
  const ended = { swept, unreadable: reach.unreadable, lostRecords }
  if (cutAt !== null) return { kind: 'more', at: cutAt, removedFromControl: 0, ...ended }
  const cleared = await collectControl(deps.control, reach, { intents, ...request }, options)
  const removedFromControl = cleared.removed
  if (cleared.isCutShort) return { kind: 'more', at: vaultIsSwept, removedFromControl, ...ended }
  if (isNew) await dropCondemned(deps.control, passId, options)
  await dropEmptied(deps, begun, options)
  return { kind: 'done', at: null, removedFromControl, ...ended }
}

/** @param made ids that were seen before the intents and the records were read
 * @returns ids of recovery points whose commit record is gone */
const noteLost = async (
  control: ControlStore,
  reach: Reachability,
  { made, intents }: { readonly made: ReadonlySet<string>; readonly intents: readonly Intent[] },
  options: CallOptions,
): Promise<readonly string[]> => {
  const working = new Set(intents.map(({ id }) => id))
  const lost = new Set([...made].filter((id) => !working.has(id)))
  for await (const id of reportedLost(control, options)) lost.add(id)
  for (const id of lost) if (reach.points.has(id)) lost.delete(id)
  reach.hasLost = lost.size > 0
  return [...lost]
}

const unfinishedPasses = async (control: ControlStore, options: CallOptions): Promise<Condemned[]> => {
  const found: Condemned[] = []
  for await (const passId of listPasses(control, options)) {
    const condemned = await findCondemned(control, passId, options)
    if (condemned !== null) found.push(condemned)
  }
  return found
}

const together = (passes: readonly Condemned[]): Omit<Condemned, 'passId'> => ({
  recoveryPointIds: passes.flatMap(({ recoveryPointIds }) => recoveryPointIds),
  layerIds: passes.flatMap(({ layerIds }) => layerIds),
})

/** Ends the passes that others began, this one's earlier calls among them, once nothing of their lists is there: the process that wrote a list may
 * be asleep in front of a removal, so a list that still means something is not another's to end. */
const dropEmptied = async (deps: CollectDeps, passes: readonly Condemned[], options: CallOptions): Promise<void> => {
  if (passes.length === 0) return
  const condemned = new Set(passes.flatMap(({ layerIds }) => layerIds))
  const left = new Set<string>()
  for await (const { name } of deps.vault.list(layersRoot, options)) {
    const layerId = name.slice(layersRoot.length)
    if (condemned.has(layerId)) left.add(layerId)
  }
  for (const { passId, layerIds } of passes)
    if (!layerIds.some((layerId) => left.has(layerId))) await dropCondemned(deps.control, passId, options)
}

/** Lists what is there, looks again who needs it, and tells everybody what is about to go. A layer that a fold has just made is seen as decided
 * only if its intent was gone after it was listed, so the commit record that names it is read. */
const condemn = async (
  deps: CollectDeps,
  reach: Reachability,
  { passId, made }: { readonly passId: string; readonly made: ReadonlySet<string> },
  options: CallOptions,
): Promise<Condemned> => {
  const listed: string[] = []
  for await (const { layerId, isGarbage } of layersOf(deps, reach, options)) {
    if (isGarbage) listed.push(layerId)
    if (listed.length === layersMax) break
  }
  const intents = await readIntents(deps, reach, options)
  await readRecordsAgain(deps.vault, reach, options)
  await noteLost(deps.control, reach, { made, intents }, options)
  const layerIds = listed.filter((layerId) => isGarbageLayer(reach, layerId))
  const recoveryPointIds = [...reach.points].flatMap(([id, { state, hasOlder }]) =>
    state === 'expired' && hasOlder && reach.isDecided(id) ? [id] : [],
  )
  return writeCondemned(deps.control, { passId, recoveryPointIds, layerIds }, options)
}

const isGarbageLayer = (reach: Reachability, layerId: string): boolean =>
  !reach.layers.has(layerId) && reach.isDecided(layerId.slice(0, layerId.indexOf('/')))

async function* layersOf(
  deps: CollectDeps,
  reach: Reachability,
  options: CallOptions,
): AsyncGenerator<{ readonly entry: BlobEntry; readonly layerId: string; readonly isGarbage: boolean }> {
  for await (const entry of deps.vault.list(layersRoot, options)) {
    if (parseVaultName(entry.name).kind !== 'layer') continue
    const layerId = entry.name.slice(layersRoot.length)
    yield { entry, layerId, isGarbage: isGarbageLayer(reach, layerId) }
  }
}

/** A layer that is not condemned may be built on by whoever comes: it is kept, and so are the segments that it uses. Comes behind the last look at
 * intents and records, as a layer may have come since the list was written.
 * @returns the condemned ones that are there */
const keepOtherLayers = async (
  deps: CollectDeps,
  reach: Reachability,
  { layerIds }: Pick<Condemned, 'layerIds'>,
  options: CallOptions,
): Promise<readonly BlobEntry[]> => {
  const condemned = new Set(layerIds)
  const found: BlobEntry[] = []
  for await (const { entry, layerId, isGarbage } of layersOf(deps, reach, options))
    if (condemned.has(layerId)) found.push(entry)
    else if (isGarbage) {
      reach.layers.add(layerId)
      await addUnnamedLayer(deps.vault, reach, entry, options)
    }
  return found
}
