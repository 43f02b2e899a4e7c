import type { LayerReference } from '../domain/recovery-point.ts'
import { type VaultError, vaultErrorOnly } from '../format/vault-error.ts'
import { parseVaultName } from '../format/vault-name.ts'
import type { BlobReader, CallOptions, ControlStore } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import type { DamagedShard } from './check-index.ts'
import { clearDamage, type DamageReport, listDamage, writeDamage } from './damage-reports.ts'
import { type Judgement, judgeKeys, judgeSegments, touchesOfLayer } from './judge-damage.ts'
import { type CheckedRecords, checkRecords, type RecordsRequest } from './scrub-records.ts'
import { type CheckStamps, neverChecked } from './scrub-state.ts'
import { byAge, type CheckUnit, recordsUnit, type UnitWatch, unitsOf } from './scrub-units.ts'
import { createSegmentDirectories } from './segment-directories.ts'
import { listDataKeys, readKeyRecord } from './stored-keys.ts'
import { contentsOf, type VmContents } from './vm-contents.ts'
import { readMarks } from './vm-marks.ts'

/** What is checked, and where damage is noted. */
export interface ScrubVmDeps {
  readonly vault: BlobReader
  readonly control: ControlStore
  readonly clock: Clock
}

/** One visit of a VM. */
export interface ScrubVmRequest {
  readonly vmKey: string
  /** Counts the rounds over all VMs. */
  readonly round: number
  /** What was checked at this time or later is left alone; null: nothing is. */
  readonly checkedBefore: string | null
  /** Asked behind each shard and each few segments. */
  readonly goOn: () => boolean
  /** Of all VMs; whoever opened them saves them. */
  readonly stamps: CheckStamps
}

/** Segments to be looked at closely in one visit: where everything is gone, it is told bit by bit. */
const segmentsMax = 1024

/** What the visit came to. */
export interface ScrubbedVm {
  /** False where it was broken off. */
  readonly isWhole: boolean
  /** Damaged objects that were not known to be. */
  readonly found: number
  /** Objects that were said to be damaged and are whole, or that nothing needs. */
  readonly cleared: number
}

/** Checks what the recovery points of one VM need, what was checked longest ago first: the records that restores need at each visit, then other
 * records, layers, sidecars and segments. What is said to be damaged is always looked at again, be it another VM that was touched by it. Reads without any key.
 * @throws VaultError `unsupported-version` where a record is of a later format */
export const scrubVm = async (
  deps: ScrubVmDeps,
  request: ScrubVmRequest,
  options: CallOptions = {},
): Promise<ScrubbedVm> => {
  const looking = await beginLooking(deps, { vmKey: request.vmKey, names: new Set() }, options)
  const { known, suspicions, units } = looking
  await lookAgain(looking, new Set(known.map(({ name }) => name)))
  const goOn = (): boolean => request.goOn() && suspicions.segments.size < segmentsMax
  const isWhole = await checkDue(units, { ...request, goOn }, watchOf(suspicions, goOn), deps.clock)
  const told = await tell(deps, looking, known, options)
  return { isWhole, ...told }
}

/** Checks some objects at once that a reader found something wrong with, and nothing else but the VM's records and footers: what is damaged indeed is
 * reported as by any other check, what is whole is not. Notes of what was checked when stay as they are.
 * @param of `names`: segments, layers, sidecars, commit records and records of data keys; others are passed over
 * @throws VaultError `unsupported-version` where a record is of a later format */
export const checkSuspected = async (
  deps: ScrubVmDeps,
  of: { readonly vmKey: string; readonly names: ReadonlySet<string> },
  options: CallOptions = {},
): Promise<Omit<ScrubbedVm, 'isWhole'>> => {
  const looking = await beginLooking(deps, of, options)
  await lookAgain(looking, of.names)
  const curable = looking.known.filter(({ name }) => of.names.has(name))
  return tell(deps, looking, curable, options)
}

interface Looking {
  /** `suspects` grows: what is found wrong is read once more before anything is said. */
  readonly request: RecordsRequest
  /** What is said to be damaged, of all VMs. */
  readonly known: readonly DamageReport[]
  readonly suspicions: Suspicions
  readonly units: readonly CheckUnit[]
}

/** Reads the records and the footers of all their layers.
 * @param of `names`: suspects besides what is said to be damaged */
const beginLooking = async (
  deps: ScrubVmDeps,
  of: { readonly vmKey: string; readonly names: ReadonlySet<string> },
  options: CallOptions,
): Promise<Looking> => {
  const known: DamageReport[] = []
  for await (const report of listDamage(deps.control, null, options)) known.push(report)
  const { vmKey } = of
  const { points: marked } = await readMarks(deps.control, vmKey, options)
  const suspects = new Set([...of.names, ...known.map(({ name }) => name)])
  const request = { vmKey, marks: { points: marked }, suspects }
  const { points, others } = await checkRecords(deps.vault, request, options)
  const suspicions = suspicionsOf(points, suspects)
  const directories = createSegmentDirectories(deps.vault, options)
  const { units, closed } = await unitsOf(deps.vault, contentsOf(points), directories, options)
  for (const { name, error } of closed) suspicions.layers.set(name, { error, shards: [] })
  const ofRecords = others.length === 0 ? [] : [recordsUnit(deps.vault, vmKey, others, options)]
  return { request, known, suspicions, units: [...ofRecords, ...units] }
}

const lookAgain = async ({ suspicions, units }: Looking, names: ReadonlySet<string>): Promise<void> => {
  for (const name of names) {
    const parsed = parseVaultName(name)
    if (parsed.kind === 'segment') suspicions.segments.add(name)
    if (parsed.kind === 'key') suspicions.keyIds.add(parsed.keyId)
  }
  const watch = watchOf(suspicions, () => true)
  for (const unit of units) if (names.has(unit.name)) await unit.check(null, watch)
}

/** What was found wrong, before it is known what is lost by it. */
interface Suspicions {
  /** Names. */
  readonly records: Set<string>
  /** By name: the first fault and the damaged shards; no shards: the whole layer. */
  readonly layers: Map<string, { readonly error: VaultError; readonly shards: DamagedShard[] }>
  readonly sidecars: Map<string, VaultError>
  readonly segments: Set<string>
  readonly keyIds: Set<string>
}

const suspicionsOf = (points: CheckedRecords['points'], records: Set<string>): Suspicions => ({
  records,
  layers: new Map(),
  sidecars: new Map(),
  segments: new Set(),
  keyIds: new Set(points.flatMap(({ keyId }) => keyId ?? [])),
})

const watchOf = (suspicions: Suspicions, goOn: () => boolean): UnitWatch => ({
  goOn,
  onLayer: (layer, error) => suspicions.layers.set(layer, { error, shards: [] }),
  onShard: (layer, damaged) => {
    const known = suspicions.layers.get(layer)
    if (known === undefined) suspicions.layers.set(layer, { error: damaged.error, shards: [damaged] })
    else if (!known.shards.some(({ range }) => range.offsetBytes === damaged.range.offsetBytes))
      known.shards.push(damaged)
  },
  onSidecar: (name, error) => suspicions.sidecars.set(name, error),
  onSegment: (name) => suspicions.segments.add(name),
  onKey: (keyId) => suspicions.keyIds.add(keyId),
  onRecord: (name) => suspicions.records.add(name),
})

/** Some of what is due is checked however small the budget is: the next visit comes further.
 * @returns whether all that was due was checked */
const checkDue = async (
  units: readonly CheckUnit[],
  { round, checkedBefore, goOn, stamps }: ScrubVmRequest,
  watch: UnitWatch,
  clock: Clock,
): Promise<boolean> => {
  const aged = await Promise.all(units.map(async (unit) => ({ unit, stamp: await stamps.of(unit.name) })))
  let isWhole = true
  let hasBegun = false
  for (const { unit, stamp } of aged.sort(byAge)) {
    const isDue = stamp === neverChecked || checkedBefore === null || stamp.checkedAt < checkedBefore
    isWhole &&= !isDue || !hasBegun || goOn()
    if (!isDue || !isWhole) {
      if (stamp.round !== round) await stamps.set(unit.name, { ...stamp, round })
      continue
    }
    hasBegun = true
    const next: string | null = await unit.check(stamp.next, watch)
    isWhole = next === null
    const checkedAt = isWhole ? clock.now().toISOString() : stamp.checkedAt
    await stamps.set(unit.name, { checkedAt, next, round })
  }
  return isWhole
}

/** Reads the records once more before anything is said: what has ended meanwhile may have been collected, and is not damaged.
 * @param curable reports of things that were looked at: those of the VM that nothing bears out are taken back */
const tell = async (
  deps: ScrubVmDeps,
  { request, known, suspicions }: Looking,
  curable: readonly DamageReport[],
  options: CallOptions,
): Promise<{ readonly found: number; readonly cleared: number }> => {
  const { vmKey } = request
  const records = await checkRecords(deps.vault, request, options)
  const judgements = new Map<string, Judgement>()
  for (const judgement of await judge(deps, suspicions, records, options)) judgements.set(judgement.name, judgement)
  const foundAt = deps.clock.now().toISOString()
  let found = 0
  for (const judgement of judgements.values()) {
    const before = known.find((report) => report.vmKey === vmKey && report.name === judgement.name)
    if (before === undefined) found += 1
    await writeDamage(deps.control, { vmKey, foundAt: before?.foundAt ?? foundAt, ...judgement }, options)
  }
  const cured = curable.filter((report) => report.vmKey === vmKey && !judgements.has(report.name))
  for (const { name } of cured) await clearDamage(deps.control, { vmKey, name }, options)
  return { found, cleared: cured.length }
}

const judge = async (
  deps: ScrubVmDeps,
  suspicions: Suspicions,
  { points, damaged }: CheckedRecords,
  options: CallOptions,
): Promise<readonly Judgement[]> => {
  const contents = contentsOf(points)
  const judgements: Judgement[] = []
  const add = (kind: Judgement['kind'], error: VaultError, touches: Judgement['touches'], name = error.fault.name) =>
    judgements.push({ name, kind, code: error.fault.code, message: error.message, frames: null, touches })
  for (const { recoveryPointId, error, isNeeded } of damaged)
    add('record', error, isNeeded ? [{ recoveryPointId, disk: null, ranges: null }] : [])
  for (const [name, { error, shards }] of suspicions.layers) {
    const layer = contents.layers.get(name)
    if (layer !== undefined) add('index', error, touchesOfDamagedLayer(layer, shards, contents), name)
  }
  for (const [name, error] of suspicions.sidecars) if (contents.sidecars.has(name)) add('sidecar', error, [], name)
  const keys = await judgeKeys(deps.vault, await keyErrors(deps, suspicions.keyIds), contents, options)
  return [...judgements, ...keys, ...(await judgeSegments(deps.vault, suspicions.segments, contents, options))]
}

const touchesOfDamagedLayer = (layer: LayerReference, shards: readonly DamagedShard[], contents: VmContents) => {
  const ranges = shards.map(({ range }) => range).sort((a, b) => a.offsetBytes - b.offsetBytes)
  return touchesOfLayer(layer, ranges.length === 0 ? null : ranges, contents)
}

/** Proves the newest record of each data key, those that the vault has and those that are said to be needed; what is wrapped in it is not opened. */
const keyErrors = async (
  { vault }: ScrubVmDeps,
  needed: ReadonlySet<string>,
): Promise<ReadonlyMap<string, VaultError>> => {
  const newest = new Map([...needed].map((keyId) => [keyId, { keyId, revision: 1 }]))
  for (const stored of await listDataKeys(vault)) newest.set(stored.keyId, stored)
  const errors = new Map<string, VaultError>()
  for (const [keyId, stored] of newest) {
    const error = await readKeyRecord(vault, stored).then(() => null, vaultErrorOnly)
    if (error !== null) errors.set(keyId, error)
  }
  return errors
}
