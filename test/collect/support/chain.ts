import type { RecoveryPoint } from '../../../shared/domain/recovery-point.ts'
import type { ControlStore, VaultStore } from '../../../shared/ports/blob-store.ts'
import type { Clock } from '../../../shared/ports/clock.ts'
import { checkBase } from '../../../shared/vault/check-base.ts'
import { expireRecoveryPoint } from '../../../shared/vault/expire-recovery-points.ts'
import { fenceRecoveryPoint } from '../../../shared/vault/fence-recovery-point.ts'
import { dropIntent, writeIntent } from '../../../shared/vault/intents.ts'
import { listRecoveryPoints, readRecoveryPoint } from '../../../shared/vault/recovery-points.ts'
import { tinyTuning } from '../../support/compaction-world.ts'
import { allocatedRanges, applyWrites, randomWrites } from '../../support/disk-history.ts'
import type { SeededRandom } from '../../support/seeded-random.ts'
import { type BackupOrder, backUp, restoreDisk, vmKey } from '../../support/vault-world.ts'

export interface CollectStores {
  readonly vault: VaultStore & ControlStore
  readonly control: ControlStore
  readonly clock: Clock
}

/** What recovery points must restore to; those that are expired are taken out. */
export type Truths = Map<string, { readonly disk: string; readonly bytes: Buffer }>

class Killed extends Error {
  override readonly name = 'Killed'
}

/** The store of a worker that dies at its n-th write. */
const dyingAt = (stores: CollectStores, writes: number): CollectStores => {
  let left = writes
  const die = async <T>(write: () => Promise<T>): Promise<T> => {
    left -= 1
    if (left === 0) throw new Killed()
    return write()
  }
  const vault: CollectStores['vault'] = {
    ...stores.vault,
    create: (...call) => die(() => stores.vault.create(...call)),
    createFromStream: (...call) => die(() => stores.vault.createFromStream(...call)),
  }
  return { ...stores, vault }
}

/** Backs one disk up again and again, each time on the recovery point before; some runs die and are fenced off, and go on all the same. Old
 * recovery points expire, sometimes the newest, too.
 * @returns how many backups were committed */
export const keepBackingUp = async (
  stores: CollectStores,
  disk: string,
  random: SeededRandom,
  isOver: () => boolean,
  truths: Truths,
): Promise<number> => {
  let bytes: Buffer = Buffer.alloc(512 * 1024)
  let last: RecoveryPoint | null = null
  let committed = 0
  for (let number = 1; !isOver(); number += 1) {
    const recoveryPointId = `${disk}-${String(number).padStart(5, '0')}`
    const dependsOn = last === null ? [] : [last.recoveryPointId]
    if (random.below(4) === 0 && last !== null) await expire(stores, last.recoveryPointId, truths)
    const intent = await writeIntent(stores.control, { kind: 'backup', id: recoveryPointId, vmKey, dependsOn })
    const base: RecoveryPoint | null = last === null ? null : await checkBase(stores, intent, last)
    const next = applyWrites(bytes, randomWrites(random, bytes.length, 8))
    const ranges = base === null ? allocatedRanges(next.bytes) : next.ranges
    const order = { recoveryPointId, base, disks: [{ disk, bytes: next.bytes, ranges }], tuning: tinyTuning }
    const made = await runOrDie(stores, order, random)
    if (made === null) continue
    committed += 1
    bytes = next.bytes
    last = made
    truths.set(recoveryPointId, { disk, bytes })
    const mine = [...truths].filter(([, truth]) => truth.disk === disk).map(([id]) => id)
    for (const id of mine.slice(0, -3)) await expire(stores, id, truths)
  }
  return committed
}

/** One run in six dies, is taken for dead and fenced off, and then goes on behind the supervisor's back: its commit must come to nothing. */
const runOrDie = async (
  stores: CollectStores,
  order: BackupOrder,
  random: SeededRandom,
): Promise<RecoveryPoint | null> => {
  if (random.below(6) > 0) return backUp(stores, order)
  await backUp(dyingAt(stores, 1 + random.below(5)), order).catch((error: unknown) => {
    if (!(error instanceof Killed)) throw error
  })
  const { recoveryPointId } = order
  await fenceRecoveryPoint(stores, { vmKey, recoveryPointId })
  const found = await readRecoveryPoint(stores.vault, { vmKey, recoveryPointId })
  if (found !== null) return found.recoveryPoint
  const late = await backUp(stores, order).catch((error: Error) => error.message)
  if (typeof late !== 'string') throw new Error(`${recoveryPointId} was committed behind its fence`)
  await dropIntent(stores.control, recoveryPointId)
  return null
}

const expire = async (stores: CollectStores, recoveryPointId: string, truths: Truths): Promise<void> => {
  truths.delete(recoveryPointId)
  for await (const listed of listRecoveryPoints(stores.vault, vmKey))
    if (listed.recoveryPointId === recoveryPointId) await expireRecoveryPoint(stores.vault, { vmKey, ...listed })
}

/** Restores one recovery point after another and compares. One that it has begun must come to its end, whatever expires meanwhile.
 * @returns how many were restored */
export const keepRestoring = async (
  stores: CollectStores,
  random: SeededRandom,
  isOver: () => boolean,
  truths: Truths,
): Promise<number> => {
  let restored = 0
  while (!isOver()) {
    const all = [...truths]
    const [recoveryPointId, truth] = all[random.below(all.length)] ?? []
    if (recoveryPointId === undefined || truth === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      continue
    }
    const id = `restore-${restored}`
    await writeIntent(stores.control, { kind: 'restore', id, vmKey, dependsOn: [recoveryPointId] })
    const found = await readRecoveryPoint(stores.vault, { vmKey, recoveryPointId })
    if (found !== null) {
      await new Promise((resolve) => setTimeout(resolve, random.below(400)))
      const bytes = await restoreDisk(stores.vault, found.recoveryPoint, truth.disk)
      if (!bytes.equals(truth.bytes)) throw new Error(`${recoveryPointId} is not what it was`)
    }
    await dropIntent(stores.control, id)
    restored += 1
  }
  return restored
}
