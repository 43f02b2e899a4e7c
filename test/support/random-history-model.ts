import { vmKeyOf } from '../../shared/domain/ids.ts'
import type { RestoreJob } from '../../shared/domain/job.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { ControlObjectError } from '../../shared/jobs/json-object.ts'
import type { BlobReader } from '../../shared/ports/blob-store.ts'
import { CurrentKeyLockedError } from '../../shared/vault/data-keys.ts'
import { listRecoveryPoints, readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import type { PlatformVm } from './random-history-platform.ts'
import {
  type Door,
  type HistoryDeps,
  type HistoryWorld,
  isMishap,
  type Mishap,
  openDoor,
} from './random-history-world.ts'
import { type SeededRandom, seededRandom } from './seeded-random.ts'
import { restoreDisk } from './vault-world.ts'

/** A run that stands still at a storage call. */
interface Sleeper {
  readonly told: string
  wake(): Promise<string>
}

export interface Damaged {
  readonly store: 'vault' | 'control'
  readonly before: Uint8Array
  /** Null where it is gone. */
  readonly after: Uint8Array | null
}

/** A history as it goes on: the world, and what must be true of it. */
export interface History {
  readonly world: HistoryWorld
  /** What is known of each recovery point; one that is not here may be committed or not. `ending`: it may live or have ended. */
  readonly states: Map<string, 'committed' | 'ending' | 'ended'>
  readonly sleepers: Sleeper[]
  /** Recovery points whose backup was given up: they may be fenced off. */
  readonly givenUp: Set<string>
  /** Restores that died, or whose claim was lost: whoever finds their claims ends them. */
  readonly deadRestores: RestoreJob[]
  /** What storage has damaged, by name. */
  readonly damaged: Map<string, Damaged>
  readonly everDamaged: Set<string>
  /** Recovery points that have lost their newest revision: they may be absent, be what they were before it, or miss what was given up since. */
  readonly unsure: Set<string>
  readonly everUnsure: Set<string>
  readonly story: string[]
  readonly counts: { passes: number; restores: number; disks: number; expiries: number }
  /** Disks of more than one slice. */
  readonly isWide: boolean
  readonly image: Buffer
}

const page = 4096
const vmsMax = 3

export const addVm = (history: History, random: SeededRandom): void => {
  const { vms } = history.world.platform
  if (vms.length >= vmsMax) return
  const vmId = `/vms/vm-${vms.length}`
  const image = random.below(2) === 0 ? 'publisher:offer:sku:1' : null
  vms.push({ vmId, vmKey: vmKeyOf(vmId), image, disks: new Map(), detached: new Map() })
  const vm = vms.at(-1) as PlatformVm
  addDisk(history, random, vm, 'os')
  if (random.below(3) === 0) addDisk(history, random, vm, 'lun-0')
}

/** One of the VMs, the first more often than the others: its stacks grow. */
export const pickVm = ({ world }: History, random: SeededRandom): PlatformVm => {
  const { vms } = world.platform
  const vm = random.below(2) === 0 ? vms[0] : vms[random.below(vms.length)]
  if (vm === undefined) throw new Error('a history has a VM')
  return vm
}

/** A new disk: as its image has it, with a few writes, or written here and there. */
export const addDisk = (history: History, random: SeededRandom, { image, disks }: PlatformVm, label: string): void => {
  const { counts, isWide } = history
  counts.disks += 1
  const bytes = Buffer.alloc(page * (4 + random.below(24)) + (isWide ? 600 * page : 0) + 512 * random.below(2))
  if (image !== null && label === 'os') history.image.copy(bytes)
  if (isWide) bytes.fill(`disk ${counts.disks} `, 0, 500 * page)
  disks.set(label, { bytes, uniqueId: `disk-${counts.disks}` })
  writeSome(random, bytes, random.below(12))
}

/** Pages and sectors, most of them near the front: random, alike, or zero. */
export const writeSome = (random: SeededRandom, bytes: Buffer, count: number): void => {
  for (let left = count; left > 0; left -= 1) {
    const unit = random.below(4) === 0 ? 512 : page
    const span = random.below(3) === 0 ? bytes.length : bytes.length / 3
    const begin = Math.floor((random.next() * span) / unit) * unit
    const end = Math.min(bytes.length, begin + unit * (random.below(3) === 0 ? 1 + random.below(6) : 1))
    const kind = random.below(6)
    if (kind === 0) bytes.fill(0, begin, end)
    else if (kind === 1) bytes.fill(`alike ${random.below(9)} `, begin, end)
    else random.bytes(end - begin).copy(bytes, begin)
  }
}

/** A process without mishaps. */
export const quietDeps = ({ world }: History): HistoryDeps => openDoor(world, seededRandom(7), null).deps

interface Task {
  readonly told: string
  /** Runs through the door; tells what it came to. */
  run(deps: HistoryDeps): Promise<string>
  /** Behind a run that came to its end. */
  settled?(): void
  /** Behind a run that died. */
  died?(): void
  /** True for damaged objects that a run may end at. */
  mayMeet?(name: string): boolean
  /** True for errors that a run may end with where others went on while it slept. */
  isOvertaken?(error: unknown): boolean
}

/** Runs the task in a process of its own, which may die or fall asleep at some call.
 * @returns what is to be told of it */
export const launch = async (
  history: History,
  random: SeededRandom,
  task: Task,
  mishap = drawMishap(random),
): Promise<string> => {
  const door = openDoor(history.world, random, mishap)
  const ended = finish(history, door, task, mishap)
  ended.catch(() => undefined)
  const first = await Promise.race([ended, door.asleep])
  const how = mishap === null ? '' : `, ${mishap.kind} at ${mishap.of} ${mishap.at}`
  if (first !== 'asleep') return `${task.told}${how}: ${first}`
  const wake = async (): Promise<string> => {
    door.wake()
    return ended
  }
  history.sleepers.push({ told: `${task.told}${how}`, wake })
  return `${task.told}${how}: sleeps`
}

const finish = async (history: History, door: Door, task: Task, mishap: Mishap | null): Promise<string> => {
  try {
    const came = await task.run(door.deps)
    if (!door.isDead()) {
      task.settled?.()
      return came
    }
  } catch (error) {
    const isOvertaken = mishap?.kind === 'asleep' && task.isOvertaken?.(error) === true
    if (isOvertaken) return `overtaken (${(error as Error).message})`
    if (metDamage(history, error) && mayMeet(task, error)) {
      task.died?.()
      return `meets damage (${error.message})`
    }
    if (!isMishap(error)) throw error
  }
  task.died?.()
  return 'died'
}

/** Whatever cannot be read of keys and of the control container may refuse a run. */
const mayMeet = (task: Task, error: Error): boolean =>
  !(error instanceof VaultError) || !isData(error.fault.name) || task.mayMeet?.(error.fault.name) === true

const isData = (name: string): boolean => /^(layers|recovery-points|segments|sidecars|slices)\//.test(name)

const mishaps = [
  'crashBefore',
  'crashAfter',
  'unreachable',
  'throttled',
  'lostAnswer',
  'asleep',
  'asleep',
  'asleep',
] as const

const drawMishap = (random: SeededRandom): Mishap | null => {
  if (random.below(5) > 1) return null
  const kind = mishaps[random.below(mishaps.length)] ?? 'asleep'
  if (random.below(2) === 0) return { kind, of: 'write', at: 1 + random.below(2 ** random.below(6)) }
  return { kind, of: 'call', at: 1 + random.below(2 ** (1 + random.below(8))) }
}

/** True for what a run may end with that met damage, be it that it slept since and all is whole again. */
export const metDamage = ({ world, everDamaged, everUnsure }: History, error: unknown): error is Error =>
  namesOneOf(everDamaged, error) || (everUnsure.size > 0 && isOfMissing(world, error))

const isOfDamage = ({ damaged }: History, error: unknown): error is Error => namesOneOf(new Set(damaged.keys()), error)

/** What cannot be found where a recovery point has become again what it was before its newest revision. */
const isOfMissing = ({ vault }: HistoryWorld, error: unknown): error is VaultError =>
  error instanceof VaultError && error.fault.code === 'object-missing' && !vault.objects.has(error.fault.name)

/** A refusal that names one of the objects; of a data key any of its revisions, as what is left of them may not do. */
const namesOneOf = (names: ReadonlySet<string>, error: unknown): boolean => {
  if (error instanceof CurrentKeyLockedError) return namesOneOf(names, error.cause)
  if (error instanceof ControlObjectError) return [...names].some((name) => error.message.includes(` ${name} `))
  if (!(error instanceof VaultError)) return false
  const { name, code } = error.fault
  const key = code.startsWith('key-') || code === 'wrong-key' ? name.slice(0, name.lastIndexOf('/') + 1) : null
  return names.has(name) || (key !== null && [...names].some((one) => one.startsWith(key)))
}

/** What the work comes to, or the error that it ends with where that names a damaged object.
 * @param isUnsure of a recovery point that has lost its newest revision: what is gone may also be what was given up since */
export const damageIn = async <Value>(
  history: History,
  work: () => Promise<Value>,
  isUnsure = false,
): Promise<Value | Error> => {
  try {
    return await work()
  } catch (error) {
    if (isOfDamage(history, error) || (isUnsure && isOfMissing(history.world, error))) return error
    throw error
  }
}

export const pointsListed = async (vault: BlobReader, vmKey: string): Promise<readonly string[]> => {
  const ids: string[] = []
  for await (const { recoveryPointId } of listRecoveryPoints(vault, vmKey)) ids.push(recoveryPointId)
  return ids
}

/** Restores everything that lives and compares it with what was copied; everything that is committed and has not ended lives, what has ended does not.
 * What needs a damaged object may only end with an error that names it.
 * @throws Error naming the first recovery point of which that is not so */
export const expectExact = async (history: History): Promise<void> => {
  const { vault, keys } = quietDeps(history)
  const ring = await keys.ring()
  const live = new Set<string>()
  for (const { vmKey } of history.world.platform.vms)
    for (const recoveryPointId of await pointsListed(vault, vmKey)) {
      const isUnsure = history.unsure.has(recoveryPointId)
      const found = await damageIn(history, () => readRecoveryPoint(vault, { vmKey, recoveryPointId }))
      if (found === null) continue
      live.add(recoveryPointId)
      if (found instanceof Error) continue
      if (history.states.get(recoveryPointId) === 'ended' && !isUnsure)
        throw new Error(`${recoveryPointId} lives on behind its end`)
      for (const [disk, bytes] of history.world.platform.taken.get(recoveryPointId)?.disks ?? []) {
        const restore = () => restoreDisk(vault, found.recoveryPoint, disk, 100_000, ring)
        const restored = await damageIn(history, restore, isUnsure)
        if (!(restored instanceof Error) && !restored.equals(bytes))
          throw new Error(`${recoveryPointId}/${disk} is not what was copied`)
      }
    }
  for (const [recoveryPointId, state] of history.states)
    if (state === 'committed' && !live.has(recoveryPointId) && !history.unsure.has(recoveryPointId))
      throw new Error(`${recoveryPointId} is gone`)
}
