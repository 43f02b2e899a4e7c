import assert from 'node:assert/strict'
import { isId } from '../domain/ids.ts'

/** One disk of one recovery point: the key of most objects. `disk` is `os` or `lun-<n>`. */
export interface DiskKey {
  readonly recoveryPointId: string
  readonly disk: string
}
/** One slice of the transfer of that disk, from 0. */
export interface SliceKey extends DiskKey {
  readonly slice: number
}

/** What the names of each kind of object begin with. */
export const segmentsRoot = 'segments/'
/** Slice indexes. */
export const slicesRoot = 'slices/'
/** Layers, those of compactions too. */
export const layersRoot = 'layers/'
/** Page hashes. */
export const sidecarsRoot = 'sidecars/'
/** Commit records. */
export const recoveryPointsRoot = 'recovery-points/'
/** What jobs have decided, by recovery point or by job. */
export const plansRoot = 'plans/'
/** Markers of attempts. */
export const attemptsRoot = 'attempts/'
/** How far slices are. */
export const progressRoot = 'progress/'

/** Object names of the vault container (docs/format.md, section 2). All are functions of ids alone; ids are checked. */
export const segmentName = (key: SliceKey, attempt: number, n: number): string =>
  `segments/${diskPath(key)}/${digits(key.slice, 6)}.${digits(attempt, 4)}-${digits(n, 5)}`

/** Its creation commits the slice. */
export const sliceIndexName = (key: SliceKey): string => `slices/${diskPath(key)}/${digits(key.slice, 6)}`

/** `<id>/<disk>`: how commit records name a layer. */
export const layerIdOf = (key: DiskKey): string => diskPath(key)

/** @param layerId as in a LayerReference: `<id>/<disk>`, the id a recovery point's or a compaction's */
export const layerName = (layerId: string): string => {
  const parts = layerId.split('/')
  assert(parts.length === 2 && parts.every(isId), 'a layer id is <id>/<disk>')
  return `layers/${layerId}`
}

/** Page hashes of a disk at a recovery point. */
export const sidecarName = (key: DiskKey): string => `sidecars/${diskPath(key)}`

/** All data keys, wrapped. */
export const dataKeysPrefix = 'keys/'

/** @param keyId 32 hex digits
 * @param revision from 1; the highest one counts */
export const dataKeyName = (keyId: string, revision: number): string =>
  `${dataKeysPrefix}${checked(keyId)}/${digits(revision, 4)}.json`

/** Below it lie the VM's commit records, sorted by recovery point, then revision. */
export const recoveryPointsPrefix = (vmKey: string): string => `${recoveryPointsRoot}${checked(vmKey)}/`

/** Below it lie the revisions of one recovery point. */
export const revisionsPrefix = (vmKey: string, recoveryPointId: string): string =>
  `${recoveryPointsPrefix(vmKey)}${checked(recoveryPointId)}/`

/** @param revision from 1; the creation of the first one is the commit */
export const recoveryPointName = (vmKey: string, recoveryPointId: string, revision: number): string =>
  `${revisionsPrefix(vmKey, recoveryPointId)}${digits(revision, 4)}.json`

/** Object names of the control container. */
export const planSummaryName = (key: DiskKey): string => `plans/${diskPath(key)}/summary.json`

/** Says which caller the planning run belongs to.
 * @param run from 1 */
export const planRunMarker = (key: DiskKey, run: number): string => `plans/${diskPath(key)}/${digits(run, 4)}/run`

/** Ranges of one slice as that planning run cut them. */
export const slicePlanName = (key: SliceKey, run: number): string =>
  `plans/${diskPath(key)}/${digits(run, 4)}/${digits(key.slice, 6)}`

/** Hashes of the pages of one slice as that attempt stored them, until its disk is sealed. */
export const pageHashesName = (key: SliceKey, attempt: number): string =>
  `plans/${diskPath(key)}/hashes/${digits(key.slice, 6)}.${digits(attempt, 4)}`

/** Says which run of a step the attempt number belongs to.
 * @param attempt from 1 */
export const attemptMarker = (key: SliceKey, attempt: number): string =>
  `attempts/${diskPath(key)}/${digits(key.slice, 6)}/${digits(attempt, 4)}`

/** Says that a comparison with what the vault holds of the disk found it damaged. */
export const storedDamageName = (key: DiskKey): string => `plans/${diskPath(key)}/damage.json`

/** What running steps depend on. */
export const intentsPrefix = 'intents/'

/** @param id a recovery point's, a compaction's or a job's */
export const intentName = (id: string): string => `${intentsPrefix}${checked(id)}.json`

/** What one collection pass is about to delete. */
export const condemnedPrefix = 'condemned/'

/** @param passId of the collection pass */
export const condemnedName = (passId: string): string => `${condemnedPrefix}${checked(passId)}.json`

/** What collection has read of a VM's recovery points. */
export const marksName = (vmKey: string): string => `marks/${checked(vmKey)}.json`

/** Which layers clones of an image may build on. */
export const imageBasesRoot = 'bases/'

/** Which recovery point holds the base layers of disks made from one image. */
export const imageBaseName = (imageKey: string): string => `${imageBasesRoot}${checked(imageKey)}.json`

const diskPath = (key: DiskKey): string => `${checked(key.recoveryPointId)}/${checked(key.disk)}`

const checked = (id: string): string => {
  assert(isId(id), 'an id of a name has lower-case letters, digits, - and single dots only')
  return id
}

const digits = (value: number, count: number): string => {
  assert(Number.isSafeInteger(value) && value >= 0 && value < 10 ** count)
  return String(value).padStart(count, '0')
}
