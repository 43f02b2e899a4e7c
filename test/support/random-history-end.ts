import { refOf } from '../../shared/domain/job-ref.ts'
import { readClaim } from '../../shared/jobs/claim.ts'
import { finishJob } from '../../shared/jobs/finish-job.ts'
import { endOrphans } from '../../shared/jobs/maintenance/end-orphans.ts'
import { resumeJob } from '../../shared/jobs/resume-job.ts'
import { giveUnfinishedUp, readUnfinished } from '../../shared/jobs/unfinished.ts'
import { compactVm } from '../../shared/vault/compact-vm.ts'
import { dropCondemned, listPasses } from '../../shared/vault/condemned.ts'
import { damageOf } from '../../shared/vault/damage-reports.ts'
import { expireRecoveryPoint } from '../../shared/vault/expire-recovery-points.ts'
import { giveUpLost } from '../../shared/vault/lost-records.ts'
import { listRecoveryPoints } from '../../shared/vault/recovery-points.ts'
import { scrubVault } from '../../shared/vault/scrub-vault.ts'
import { collectOnce, wake } from './random-history-acts.ts'
import { givenUp, type Protected, protect } from './random-history-backup.ts'
import { hasLostName, isHolder, isOver, mayEnd, renewed } from './random-history-backups.ts'
import { abortedIn, judgeVault, uselessInControl } from './random-history-check.ts'
import { checkAll, mend } from './random-history-damage.ts'
import { expectExact, type History, metDamage, quietDeps } from './random-history-model.ts'
import type { PlatformVm } from './random-history-platform.ts'
import { endRestore } from './random-history-restore.ts'
import type { HistoryDeps } from './random-history-world.ts'
import type { SeededRandom } from './seeded-random.ts'

/** Brings everything that was begun to its end, without mishaps: who sleeps wakes up, backups go on or are given up, restores that died drop their
 * intents, what was about to expire does. */
export const settle = async (history: History, random: SeededRandom): Promise<void> => {
  while (history.sleepers.length > 0) history.story.push(`wake: ${await wake(history, random)}`)
  if (history.everDamaged.size > 0) {
    await expectExact(history)
    const isGivenUp = random.below(2) === 0
    if (isGivenUp) history.story.push(`without: ${await doWithout(history)}`)
    history.story.push(`mend: ${await mend(history)}`)
    await giveUnsureUp(history)
    if (history.everUnsure.size > 0) await dropLists(history)
    await checkAll(history)
  }
  for (const job of history.deadRestores) await endRestore(quietDeps(history), job)
  history.world.platform.canDiff = true
  for (const vm of history.world.platform.vms) await settleBackup(history, random, vm)
  // What could not be given up while its job was not at its end.
  const names = [...history.world.vault.objects.keys()].filter((name) => name.startsWith('recovery-points/'))
  for (const recoveryPointId of history.everUnsure)
    if (!names.some((name) => name.includes(`/${recoveryPointId}/`))) await expireNow(history, recoveryPointId)
  for (const [recoveryPointId, state] of history.states)
    if (state === 'ending') await expireNow(history, recoveryPointId)
}

/** What hints name where something cannot be brought back: an object of the control container is removed, a recovery point without its record is
 * given up. */
const doWithout = async (history: History): Promise<string> => {
  const { vault, control } = quietDeps(history)
  const { objects } = history.world.vault
  const names: string[] = []
  for (const [name, { store, after }] of [...history.damaged]) {
    if (store === 'vault' && !name.startsWith('recovery-points/')) continue
    // Below a later one it is told as long as the recovery point lives, and harms nobody.
    if (store === 'vault' && isBelowLater(objects.keys(), name)) continue
    history.damaged.delete(name)
    names.push(name)
    if (store === 'control' && after !== null) await control.remove(name)
  }
  // A late twin's intent speaks for a recovery point until a pass has ended it: then that can be given up.
  await endOrphans({ vault, control })
  await giveTouchedUp(history)
  return names.join(', ') || 'nothing'
}

const isBelowLater = (names: Iterable<string>, revision: string): boolean => {
  const point = revision.slice(0, revision.lastIndexOf('/') + 1)
  return [...names].some((name) => name.startsWith(point) && name > revision)
}

const giveTouchedUp = async (history: History): Promise<void> => {
  const { control } = quietDeps(history)
  await checkAll(history)
  for (const { vmKey } of history.world.platform.vms)
    for (const { kind, touches } of await damageOf(control, vmKey))
      for (const { recoveryPointId } of kind === 'record' ? touches : [])
        await expireNow(history, recoveryPointId, vmKey)
}

/** A pass that died may have condemned what a record names that was brought back since. Its list stays while that is there, and folds wait for it: a pass
 * that only sleeps would still remove it, and nobody is to build on it. That none sleeps is for people to know, who then remove the list. */
const dropLists = async (history: History): Promise<void> => {
  const { control } = quietDeps(history)
  for await (const passId of listPasses(control)) await dropCondemned(control, passId)
}

/** A recovery point whose lost revision cannot be brought back, as its name is taken, is given up. */
const giveUnsureUp = async (history: History): Promise<void> => {
  for (const recoveryPointId of history.unsure) {
    await expireNow(history, recoveryPointId)
    history.unsure.delete(recoveryPointId)
  }
}

const settleBackup = async (history: History, random: SeededRandom, { vmKey }: PlatformVm): Promise<void> => {
  const deps = quietDeps(history)
  for (const { recoveryPointId, vmKey } of abortedIn(history.world.vault.objects))
    if (!history.givenUp.has(recoveryPointId) && !mayBeOrphan(history, recoveryPointId, vmKey))
      throw new Error(`${recoveryPointId} is fenced off, and nobody gave it up`)
  const ended = await readClaim(deps.control, { jobId: 'backup', vmKey })
  if (ended !== null) await isOver(deps, ended)
  const unfinished = await readUnfinished(deps.control, vmKey)
  const running = await readClaim(deps.control, { jobId: 'backup', vmKey })
  if (running === null && unfinished !== null && random.below(2) === 0) await resumeJob(deps, unfinished.jobId)
  const held = await readClaim(deps.control, { jobId: 'backup', vmKey })
  const claim = held === null ? null : await renewed(deps, held)
  if (claim === null) return giveUpUnfinished(deps, vmKey)
  const { recoveryPointId } = claim.job
  const outcome = await protect(deps, claim, random).catch((error: unknown): Protected => {
    if (metDamage(history, error)) return { kind: 'refused', reason: error.message }
    throw error
  })
  history.story.push(`${recoveryPointId}: ${outcome.kind === 'committed' ? outcome.story : outcome.reason}`)
  if (outcome.kind === 'refused') {
    if ((await isHolder(history, claim)) && !mayEnd(history, claim, outcome.reason))
      throw new Error(`the backup ${recoveryPointId} cannot go on: ${outcome.reason}`)
    await finishJob(deps, { ...refOf(claim), outcome: givenUp })
    history.givenUp.add(recoveryPointId)
    return giveUpUnfinished(deps, vmKey)
  }
  // A record that was lost is made again where its job had not seen that it was committed.
  const isMadeAgain = history.everUnsure.has(recoveryPointId)
  if (isMadeAgain || !history.states.has(recoveryPointId)) history.states.set(recoveryPointId, 'committed')
}

/** True where what names a backup that is under way, or its record, was lost. */
const mayBeOrphan = (history: History, recoveryPointId: string, vmKey: string): boolean =>
  history.everUnsure.has(recoveryPointId) || hasLostName(history, vmKey)

/** As a later backup of the VM would, which asks for no record of the job. */
const giveUpUnfinished = async (deps: HistoryDeps, vmKey: string): Promise<void> => {
  const unfinished = await readUnfinished(deps.control, vmKey)
  if (unfinished !== null) await giveUnfinishedUp(deps, { ...unfinished, vmKey })
}

const expireNow = async (
  history: History,
  recoveryPointId: string,
  vmKey = history.world.platform.taken.get(recoveryPointId)?.vmKey ?? '',
): Promise<void> => {
  const { vault, control } = quietDeps(history)
  if (vmKey === '') return
  for await (const listed of listRecoveryPoints(vault, vmKey))
    if (listed.recoveryPointId === recoveryPointId) await expireRecoveryPoint(vault, { vmKey, ...listed })
  await giveUpLost({ vault, control }, { vmKey, recoveryPointId })
  history.states.set(recoveryPointId, 'ended')
}

/** Two collections, then folds until there is nothing left to fold, then two collections: everything is exact, nothing is left over, and no check
 * finds anything. The first collection may only drop the intent of a late twin, which kept what an earlier pass condemned: folds wait for that.
 * @throws Error telling what is not so */
export const expectSettled = async (history: History): Promise<void> => {
  const { vault, control, ...deps } = quietDeps(history)
  const collect = async (passId: string): Promise<void> => {
    const { kind, unreadable, lostRecords } = await collectOnce({ ...deps, vault, control }, passId, 100_000)
    if (kind !== 'done' || unreadable.length + lostRecords.length > 0)
      throw new Error(`${passId}: ${kind} ${JSON.stringify({ unreadable, lostRecords })}`)
  }
  const fold = async (mayWait = false): Promise<void> => {
    for (const { vmKey } of history.world.platform.vms) {
      const compacted = await compactVm({ vault, control }, { vmKey, stepsMax: 100, rewriteBytesMax: 100_000 })
      if (compacted.kind !== 'done' && !mayWait)
        throw new Error(`the folds of ${vmKey} do not come to an end: ${compacted.kind}`)
    }
  }
  // What a fold that met damage has declared is ended by the next one.
  if (history.everDamaged.size > 0) await fold(true)
  await collect('first')
  await collect('second')
  await fold()
  await collect('quiet-1')
  await collect('quiet-2')
  await expectExact(history)
  const { unneeded, missing } = judgeVault(history.world.vault.objects)
  // A late twin of a backup whose fence was lost may decide once more.
  const isOfTwin = (name: string): boolean => history.everUnsure.has(name.split('/')[1] ?? '')
  const left = [...unneeded, ...uselessInControl(history.world.control.objects).filter((name) => !isOfTwin(name))]
  if (left.length > 0) throw new Error(`nothing needs ${left.join(', ')}`)
  if (missing.length > 0) throw new Error(`there is no ${missing.join(', ')}`)
  const everything = { bytesMax: Infinity, callsMax: Infinity, vmBytesMax: Infinity, checkedBefore: null }
  const { kind, found } = await scrubVault({ ...deps, vault, control }, everything)
  if (kind !== 'done' || found > 0) throw new Error(`the last check: ${kind}, ${found} damaged objects`)
}
