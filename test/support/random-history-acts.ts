import { readClaim } from '../../shared/jobs/claim.ts'
import { endJob } from '../../shared/jobs/finish-job.ts'
import { readJobRecord } from '../../shared/jobs/job-records.ts'
import { endOrphans } from '../../shared/jobs/maintenance/end-orphans.ts'
import { collectGarbage } from '../../shared/vault/collect-garbage.ts'
import { compactVm } from '../../shared/vault/compact-vm.ts'
import { damageOf } from '../../shared/vault/damage-reports.ts'
import { expireRecoveryPoint, expireRecoveryPoints } from '../../shared/vault/expire-recovery-points.ts'
import { listRecoveryPoints } from '../../shared/vault/recovery-points.ts'
import { scrubVault } from '../../shared/vault/scrub-vault.ts'
import { isOvertaken } from './compaction-world.ts'
import { givenUp } from './random-history-backup.ts'
import { backUp } from './random-history-backups.ts'
import { damage, expectReportsTrue, heal, mend } from './random-history-damage.ts'
import { rotateDataKey, rotateWrappingKey } from './random-history-keys.ts'
import { lose } from './random-history-loss.ts'
import { addDisk, addVm, expectExact, type History, launch, pickVm, quietDeps } from './random-history-model.ts'
import type { PlatformVm } from './random-history-platform.ts'
import { restorePoint } from './random-history-restore.ts'
import type { HistoryDeps } from './random-history-world.ts'
import type { SeededRandom } from './seeded-random.ts'

/** Does one thing; tells what it came to. */
type Act = (history: History, random: SeededRandom) => Promise<string>

const nothing = 'nothing to do'

const pick = <Item>(random: SeededRandom, items: readonly Item[]): Item | undefined => items[random.below(items.length)]

/** Recovery points that may live, oldest first. */
const pointsOf = ({ world, states }: History, vmKey: string | null = null): string[] =>
  [...world.platform.taken]
    .filter(([id, taken]) => states.get(id) !== 'ended' && (vmKey === null || taken.vmKey === vmKey))
    .map(([id]) => id)

/** Ends a recovery point, where there is one: the newest seldom. */
const expireOne = async (history: History, random: SeededRandom, recoveryPointId: string): Promise<string> => {
  const vmKey = history.world.platform.taken.get(recoveryPointId)?.vmKey ?? ''
  let isThere = false
  const run = async ({ vault }: HistoryDeps): Promise<string> => {
    for await (const listed of listRecoveryPoints(vault, vmKey)) {
      if (listed.recoveryPointId !== recoveryPointId) continue
      isThere = true
      history.counts.expiries += 1
      history.states.set(recoveryPointId, 'ending')
      await expireRecoveryPoint(vault, { vmKey, ...listed })
      return 'ended'
    }
    return nothing
  }
  return launch(history, random, {
    told: recoveryPointId,
    run,
    settled: () => void (isThere && history.states.set(recoveryPointId, 'ended')),
  })
}

const expire: Act = async (history, random) => {
  const vm = pickVm(history, random)
  const points = pointsOf(history, vm.vmKey)
  if (random.below(3) === 0) return expireByRule(history, random, vm, points)
  const recoveryPointId = pick(random, random.below(6) === 0 ? points : points.slice(0, -1))
  return recoveryPointId === undefined ? nothing : expireOne(history, random, recoveryPointId)
}

const expireByRule = async (
  history: History,
  random: SeededRandom,
  { vmId, vmKey }: PlatformVm,
  points: readonly string[],
): Promise<string> => {
  const { states, counts } = history
  counts.expiries += 1
  const before = counts.expiries
  const retention = { daily: 1 + random.below(2) }
  const committed = points.filter((id) => states.get(id) === 'committed')
  // A backup that sleeps behind its commit has not said yet that it is committed.
  const unsaid = points.filter((id) => !states.has(id))
  for (const id of [...committed, ...unsaid]) states.set(id, 'ending')
  let ended: readonly string[] = []
  return launch(history, random, {
    told: `${vmId} but ${JSON.stringify(retention)}`,
    run: async ({ vault, control }) => {
      const reports = await damageOf(control, vmKey)
      const damaged = new Set(reports.flatMap(({ touches }) => touches.map((touch) => touch.recoveryPointId)))
      const request = { vmKey, retentions: [retention], timeZone: 'UTC', damaged, expiryMax: 1 + random.below(3) }
      ended = (await expireRecoveryPoints(vault, request)).expired
      return ended.join(', ')
    },
    settled: () => {
      // What another expiry was about to do meanwhile may be done or not.
      const isAlone = counts.expiries === before
      for (const id of committed) if (isAlone && states.get(id) === 'ending') states.set(id, 'committed')
      for (const id of unsaid) if (isAlone && states.get(id) === 'ending') states.delete(id)
      for (const id of ended) states.set(id, 'ended')
    },
  })
}

const compact: Act = async (history, random) => {
  const { vmId, vmKey } = pickVm(history, random)
  const pointsMax = random.below(2) === 0 ? { pointsMax: 1 + random.below(3) } : {}
  const request = { vmKey, stepsMax: 1 + random.below(5), rewriteBytesMax: random.below(3) * 60_000, ...pointsMax }
  return launch(history, random, {
    told: `${vmId} ${JSON.stringify({ ...request, vmKey: undefined })}`,
    run: async (deps) => JSON.stringify(await compactVm(deps, request)),
    isOvertaken,
    mayMeet: () => true,
  })
}

export const collectOnce = async ({ vault, control, clock }: HistoryDeps, passId: string, objectsMax: number) => {
  const hasEnded = async (jobId: string): Promise<boolean> =>
    ((await readJobRecord(control, jobId))?.outcome ?? null) !== null
  await endOrphans({ vault, control })
  return collectGarbage({ vault, control, clock }, { passId, objectsMax, hasEnded })
}

const collect: Act = async (history, random) => {
  const { counts } = history
  if (counts.passes === 0 || random.below(4) > 0) counts.passes += 1
  const passId = `pass-${counts.passes}`
  const objectsMax = pick(random, [2, 12, 10_000]) ?? 2
  const calls = 1 + random.below(3)
  return launch(history, random, {
    told: `${passId} of ${objectsMax}, ${calls} calls`,
    run: async (deps) => {
      let removed = 0
      for (let call = 0; call < calls; call += 1) {
        const collected = await collectOnce(deps, passId, objectsMax)
        removed += collected.swept.removed
        if (collected.kind === 'done') return `done, ${removed} removed`
      }
      return `more, ${removed} removed`
    },
  })
}

/** Wakes a run that sleeps; what it does from there on is done behind everybody's back. */
export const wake: Act = async ({ sleepers }, random) => {
  const [sleeper] = sleepers.splice(random.below(sleepers.length), 1)
  return sleeper === undefined ? nothing : `${sleeper.told}: ${await sleeper.wake()}`
}

const resize: Act = async (history, random) => {
  const vm = pickVm(history, random)
  const label = pick(random, [...vm.disks.keys()]) ?? 'os'
  const disk = vm.disks.get(label)
  if (disk === undefined) return nothing
  disk.bytes = Buffer.concat([disk.bytes, Buffer.alloc(512 * (1 + random.below(80)))])
  return `${vm.vmId}/${label} to ${disk.bytes.length}`
}

/** A disk is made anew, with the old content or a part of it, or empty; is taken away, or comes; or a VM comes. */
const exchangeDisk: Act = async (history, random) => {
  const vm = pickVm(history, random)
  const label = random.below(3) > 0 ? 'os' : 'lun-0'
  const before = vm.disks.get(label)
  if (random.below(5) === 0) {
    addVm(history, random)
    return `${history.world.platform.vms.length} VMs`
  }
  if (before !== undefined && label !== 'os' && random.below(2) === 0) {
    vm.disks.delete(label)
    vm.detached.set(label, before)
    return `${vm.vmId}/${label} is taken away`
  }
  addDisk(history, random, vm, label)
  const after = vm.disks.get(label)
  if (before !== undefined && after !== undefined && random.below(4) > 0) {
    const cutAt = 512 * (1 + random.below(before.bytes.length / 512))
    after.bytes = Buffer.from(random.below(2) === 0 ? before.bytes : before.bytes.subarray(0, cutAt))
  }
  return `${vm.vmId}/${label} is made anew with ${after?.bytes.length}`
}

/** The platform's copies of recovery points that nobody reads at the moment are gone. */
const loseCopies: Act = async (history, random) => {
  const vm = pickVm(history, random)
  const { copies } = history.world.platform
  const committed = pointsOf(history, vm.vmKey).filter((id) => history.states.get(id) === 'committed')
  for (const id of committed)
    for (const name of [...copies.keys()]) if (name.startsWith(`/copies/${id}/`)) copies.delete(name)
  return vm.vmId
}

const giveUp: Act = async (history, random) => {
  const { vmId, vmKey } = pickVm(history, random)
  const { control } = quietDeps(history)
  const held = await readClaim(control, { jobId: 'backup', vmKey })
  if (held === null) return nothing
  const { recoveryPointId } = held.claim.job
  history.givenUp.add(recoveryPointId)
  return launch(history, random, {
    told: `${vmId} ${recoveryPointId}`,
    run: async (deps) => {
      await endJob(deps, held, givenUp)
      return 'given up'
    },
  })
}

const restore: Act = async (history, random) => {
  const recoveryPointId = pick(random, pointsOf(history))
  return recoveryPointId === undefined ? nothing : restorePoint(history, random, recoveryPointId)
}

const scrub: Act = (history, random) => {
  const bytesMax = pick(random, [20_000, 200_000, Number.POSITIVE_INFINITY]) ?? 20_000
  return launch(history, random, {
    told: `${bytesMax} bytes`,
    run: async (deps) => {
      const limits = { callsMax: 10_000, vmBytesMax: bytesMax, checkedBefore: null }
      const { kind, found, checkedBytes } = await scrubVault(deps, { bytesMax, ...limits })
      if (found > 0 && history.everDamaged.size === 0)
        throw new Error(`a check finds ${found} damaged objects in a vault without damage`)
      await expectReportsTrue(history)
      return `${kind}, ${checkedBytes} bytes`
    },
  })
}

const check: Act = async (history) => {
  await expectExact(history)
  return 'all exact'
}

/** Everything that may happen. */
export const acts = {
  backUp,
  expire,
  compact,
  collect,
  wake,
  resize,
  exchangeDisk,
  loseCopies,
  giveUp,
  restore,
  rotateDataKey,
  rotateWrappingKey,
  scrub,
  check,
  damage,
  lose,
  mend,
  heal,
} as const satisfies Record<string, Act>
