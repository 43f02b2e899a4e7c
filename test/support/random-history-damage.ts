import { VaultError } from '../../shared/format/vault-error.ts'
import { readClaim } from '../../shared/jobs/claim.ts'
import { endJob } from '../../shared/jobs/finish-job.ts'
import { damageOf } from '../../shared/vault/damage-reports.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { scrubVault } from '../../shared/vault/scrub-vault.ts'
import { givenUp } from './random-history-backup.ts'
import { backUpAnew, isOver } from './random-history-backups.ts'
import { judgeNeeded } from './random-history-check.ts'
import { damageIn, type History, pickVm, pointsListed, quietDeps } from './random-history-model.ts'
import type { HistoryWorld } from './random-history-world.ts'
import type { SeededRandom } from './seeded-random.ts'
import { unlimited } from './small-vault.ts'
import { restoreDisk } from './vault-world.ts'

const kinds = ['segments/', 'segments/', 'layers/', 'slices/', 'sidecars/', 'recovery-points/'] as const
/** Objects that are damaged at the same time. */
const damagedMax = 2

/** Storage flips a bit of an object, loses its end or all of it. Commit records are not lost: nothing tells that one ever was. */
export const damage = async (history: History, random: SeededRandom): Promise<string> => {
  const { objects } = history.world.vault
  const kind = kinds[random.below(kinds.length)] ?? 'segments/'
  const names = [...objects.keys()].filter((name) => name.startsWith(kind) && !history.damaged.has(name))
  const name = names[random.below(names.length)]
  const content = objects.get(name ?? '')
  if (name === undefined || content === undefined || history.damaged.size >= damagedMax) return 'nothing to damage'
  const how = random.below(kind === 'recovery-points/' ? 2 : 3)
  const after = how === 2 ? null : how === 1 ? cut(content.bytes, random) : flipped(content.bytes, random)
  history.damaged.set(name, { store: 'vault', before: content.bytes, after })
  history.everDamaged.add(name)
  if (after === null) objects.delete(name)
  else objects.set(name, { ...content, bytes: after })
  return `${['a bit', 'the end', 'all'][how]} of ${name}`
}

export const flipped = (bytes: Uint8Array, random: SeededRandom): Buffer => {
  const copy = Buffer.from(bytes)
  const at = random.below(copy.length)
  copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8))
  return copy
}

export const cut = (bytes: Uint8Array, random: SeededRandom): Buffer =>
  Buffer.from(bytes.subarray(0, random.below(bytes.length)))

/** What was damaged is brought back, as from an earlier version, where it was not removed or made again meanwhile; with a commit record what it alone
 * needs, as from soft delete. */
export const mend = async ({ damaged, unsure, world }: History): Promise<string> => {
  const mended: string[] = []
  const neededWithout = judgeNeeded(world.vault.objects)
  for (const [name, { store, before, after }] of damaged) {
    damaged.delete(name)
    const { objects } = world[store]
    if ((objects.get(name)?.bytes ?? null) !== after) continue
    await world[store].reopen().put(name, Buffer.from(before))
    if (name.startsWith('recovery-points/')) unsure.delete(name.split('/')[2] ?? '')
    mended.push(name)
  }
  if (mended.some((name) => name.startsWith('recovery-points/'))) bringBackNeeded(world, neededWithout)
  return mended.join(', ') || 'nothing to mend'
}

/** Layers first, as they tell of their segments. */
const bringBackNeeded = ({ vault }: HistoryWorld, neededWithout: ReadonlySet<string>): void => {
  for (const _ of ['layers', 'segments'])
    for (const name of judgeNeeded(vault.objects))
      if (!neededWithout.has(name) && !vault.objects.has(name)) vault.rules.bringBack(vault.objects, name)
}

/** A check of everything, then a backup that nothing disturbs: what cannot be restored is named by the check, and the new recovery point is whole. */
export const heal = async (history: History, random: SeededRandom): Promise<string> => {
  const vm = pickVm(history, random)
  const deps = quietDeps(history)
  const held = await readClaim(deps.control, { jobId: 'backup', vmKey: vm.vmKey })
  if (held !== null && !(await isOver(deps, held))) {
    history.givenUp.add(held.claim.job.recoveryPointId)
    await endJob(deps, held, givenUp)
  }
  await checkAll(history)
  await expectNamed(history)
  // What the hint about a lost data key says.
  if ([...history.damaged.keys()].some((name) => name.startsWith('keys/')))
    await deps.keys.rotateDataKey({ evenIfLocked: true })
  const recoveryPointId = await backUpAnew(history, random, vm)
  const found = await readRecoveryPoint(deps.vault, { vmKey: vm.vmKey, recoveryPointId })
  if (found === null) throw new Error(`${recoveryPointId}, which was to heal, is not there`)
  const ring = await deps.keys.ring()
  for (const [disk, bytes] of history.world.platform.taken.get(recoveryPointId)?.disks ?? []) {
    const restored = await damageIn(history, () => restoreDisk(deps.vault, found.recoveryPoint, disk, 100_000, ring))
    if (isLockedUntold(history, restored)) return `${recoveryPointId} lies on a key that no check tells of`
    if (restored instanceof Error) throw restored
    if (!restored.equals(bytes))
      throw new Error(`${recoveryPointId}/${disk}, which was to heal, is not what was copied`)
  }
  return `${recoveryPointId} is whole with ${history.damaged.size} damaged objects`
}

/** Everything, undisturbed: the first round may have begun before. */
export const checkAll = async (history: History): Promise<void> => {
  const deps = quietDeps(history)
  for (let rounds = 0; rounds < 2; ) rounds += (await scrubVault(deps, unlimited)).kind === 'done' ? 1 : 0
  await expectReportsTrue(history)
}

/** A late twin may commit a record anew that was lost: the next one names the digest of the first. */
const mayBreakChain = ({ everUnsure }: History, name: string): boolean =>
  everUnsure.size > 0 && name.startsWith('recovery-points/')

/** A recovery point that has lost its newest revision is what the one before it says: what that one names may have been collected. */
const mayBeCollected = ({ everUnsure, world }: History, name: string): boolean =>
  everUnsure.size > 0 && !world.vault.objects.has(name)

/** Nothing is reported that never was damaged. */
export const expectReportsTrue = async (history: History): Promise<void> => {
  const { control } = quietDeps(history)
  for (const { vmKey } of history.world.platform.vms)
    for (const { name } of await damageOf(control, vmKey))
      if (!history.everDamaged.has(name) && !mayBreakChain(history, name) && !mayBeCollected(history, name))
        throw new Error(`${name} is said to be damaged, and never was`)
}

/** True where a later revision of the key's record is gone. Nothing tells that there was one, and what wraps the key in the one before it may have been
 * destroyed since: only who unwraps it finds that out, and a check does not. */
const isLockedUntold = ({ damaged }: History, error: unknown): boolean => {
  if (!(error instanceof VaultError) || error.fault.code !== 'key-locked') return false
  const { name } = error.fault
  const isLater = (one: string): boolean => one > name && one.startsWith(name.slice(0, name.lastIndexOf('/') + 1))
  return [...damaged].some(([one, { after }]) => after === null && isLater(one))
}

/** Whatever keeps a recovery point from being restored is reported, with the recovery point. */
const expectNamed = async (history: History): Promise<void> => {
  const { vault, control, keys } = quietDeps(history)
  const ring = await keys.ring()
  for (const { vmKey } of history.world.platform.vms) {
    const reports = await damageOf(control, vmKey)
    for (const recoveryPointId of await pointsListed(vault, vmKey)) {
      const restoreAll = async (): Promise<void> => {
        const { recoveryPoint = null } = (await readRecoveryPoint(vault, { vmKey, recoveryPointId })) ?? {}
        if (recoveryPoint === null) return
        for (const { disk } of recoveryPoint.disks) await restoreDisk(vault, recoveryPoint, disk, 100_000, ring)
      }
      const error = await damageIn(history, restoreAll, history.unsure.has(recoveryPointId))
      if (!(error instanceof VaultError)) continue
      const { name, code } = error.fault
      if (isLockedUntold(history, error)) continue
      const isSame = (one: string): boolean =>
        one === name || (code.startsWith('key-') && one.startsWith(name.slice(0, name.lastIndexOf('/') + 1)))
      const report = reports.find(({ name }) => isSame(name))
      if (report?.touches.some((touch) => touch.recoveryPointId === recoveryPointId) !== true)
        throw new Error(`${recoveryPointId} cannot be restored (${error.message}), and no check says so`)
    }
  }
}
