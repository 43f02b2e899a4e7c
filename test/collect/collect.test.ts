import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Azurite } from '../../local/azurite.ts'
import { connectStorage } from '../../shared/azure/storage-connection.ts'
import { layerName } from '../../shared/format/names.ts'
import { segmentNamesOf } from '../../shared/format/segment-ranges.ts'
import type { BlobReader } from '../../shared/ports/blob-store.ts'
import { systemClock } from '../../shared/system-clock.ts'
import { collectGarbage } from '../../shared/vault/collect-garbage.ts'
import { compactVm } from '../../shared/vault/compact-vm.ts'
import { openLayer } from '../../shared/vault/layer-reader.ts'
import { listLiveRecoveryPoints } from '../../shared/vault/recovery-points.ts'
import { freshContainerName, startTestAzurite } from '../support/azurite.ts'
import { seedOf } from '../support/seed-of.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { restoreDisk, vmKey } from '../support/vault-world.ts'
import { type CollectStores, keepBackingUp, keepRestoring, type Truths } from './support/chain.ts'
import { keepCollecting, type Tally } from './support/collectors.ts'

/** Three backups, a restore, folds, expiries and two collectors work on one vault at once; collectors are killed by SIGKILL at random moments,
 * backups die and come back. 20 seconds, with SOAK=1 five minutes. Replay the same choices with SIM_SEED=<seed>; the operating system
 * chooses the order anew each time. */
const seed = seedOf('SIM_SEED', 20_261_122)
const seconds = process.env.SOAK === '1' ? 300 : 20

const namesOf = async (store: BlobReader, prefix: string): Promise<string[]> => {
  const names: string[] = []
  for await (const { name } of store.list(prefix)) names.push(name)
  return names
}

describe(`collectors next to backups and a restore (seed ${seed})`, () => {
  let azurite: Azurite
  beforeAll(async () => {
    azurite = await startTestAzurite()
  })
  afterAll(async () => azurite.stop())

  it(`lose nothing that is needed and leave nothing that is not, in ${seconds} s`, {
    timeout: (seconds + 240) * 1000,
  }, async () => {
    const [vaultContainer, controlContainer] = [freshContainerName('vault'), freshContainerName('control')]
    const connection = { kind: 'connectionString', connectionString: azurite.connectionString } as const
    const connected = connectStorage({ connection, vaultContainer, controlContainer })
    const stores: CollectStores = {
      vault: { ...connected.control, ...connected.vault },
      control: connected.control,
      clock: systemClock,
    }
    const truths: Truths = new Map()
    const tally: Tally = { kills: 0, calls: 0, removed: 0 }
    const endsAt = Date.now() + seconds * 1000
    let hasFailed = false
    const isOver = () => hasFailed || Date.now() > endsAt
    const watched = async <T>(work: Promise<T>): Promise<T> =>
      work.catch((error: unknown) => {
        hasFailed = true
        throw error
      })
    const keepFolding = async (): Promise<number> => {
      let folded = 0
      while (!isOver()) {
        folded += (await compactVm(stores, { vmKey, stepsMax: 2, rewriteBytesMax: 1024 * 1024 })).folded
        await new Promise((resolve) => setTimeout(resolve, 300))
      }
      return folded
    }
    const ofStores = [azurite.connectionString, vaultContainer, controlContainer] as const
    const [first, second, third, restored, folded] = await Promise.all([
      watched(keepBackingUp(stores, 'os', seededRandom(seed + 1), isOver, truths)),
      watched(keepBackingUp(stores, 'lun-1', seededRandom(seed + 2), isOver, truths)),
      watched(keepBackingUp(stores, 'lun-2', seededRandom(seed + 3), isOver, truths)),
      watched(keepRestoring(stores, seededRandom(seed + 4), isOver, truths)),
      watched(keepFolding()),
      watched(keepCollecting(ofStores, 'one', seededRandom(seed + 5), isOver, tally)),
      watched(keepCollecting(ofStores, 'two', seededRandom(seed + 6), isOver, tally)),
    ])
    console.log(
      `seed ${seed}: ${first + second + third} backups, ${restored} restores, ${folded} layers folded, ${tally.calls} calls of collectors removed ${tally.removed} objects, ${tally.kills} kills`,
    )
    for (const passId of ['quiet-1', 'quiet-2'])
      while ((await collectGarbage(stores, { passId, objectsMax: 1000 })).kind === 'more');
    await expectExactlyWhatIsNeeded(stores, truths)
    expect(first + second + third).toBeGreaterThan(10)
    expect(restored).toBeGreaterThan(5)
    expect(tally.kills).toBeGreaterThan(3)
    expect(tally.removed).toBeGreaterThan(5)
  })
})

const expectExactlyWhatIsNeeded = async ({ vault, control }: CollectStores, truths: Truths): Promise<void> => {
  const needed = new Set<string>()
  const live: string[] = []
  for await (const { recoveryPoint } of listLiveRecoveryPoints(vault, vmKey)) {
    live.push(recoveryPoint.recoveryPointId)
    for (const { disk, stack } of recoveryPoint.disks) {
      const bytes = await restoreDisk(vault, recoveryPoint, disk)
      expect(bytes.equals(truths.get(recoveryPoint.recoveryPointId)?.bytes ?? Buffer.alloc(0))).toBe(true)
      for (const layer of stack) {
        needed.add(layerName(layer.layerId))
        for (const name of segmentNamesOf((await openLayer(vault, layer, {})).footer.segmentRanges)) needed.add(name)
      }
    }
  }
  expect(live).toEqual([...truths.keys()].sort())
  const stored = [...(await namesOf(vault, 'layers/')), ...(await namesOf(vault, 'segments/'))]
  expect(stored.sort()).toEqual([...needed].sort())
  for (const name of await namesOf(vault, 'slices/'))
    expect(needed.has(layerName(name.split('/').slice(1, 3).join('/')))).toBe(true)
  for (const root of ['intents/', 'condemned/', 'plans/', 'attempts/']) expect(await namesOf(control, root)).toEqual([])
}
