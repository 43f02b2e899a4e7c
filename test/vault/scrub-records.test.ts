import { beforeAll, describe, expect, it } from 'vitest'
import { recoveryPointName } from '../../shared/format/names.ts'
import { encodeSealedJson } from '../../shared/format/sealed-json.ts'
import { damageOf } from '../../shared/vault/damage-reports.ts'
import { listVms } from '../../shared/vault/list-vm-keys.ts'
import { markVm } from '../../shared/vault/mark-vm.ts'
import { readRevision } from '../../shared/vault/recovery-points.ts'
import { scrubVault } from '../../shared/vault/scrub-vault.ts'
import { checkSuspected } from '../../shared/vault/scrub-vm.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import {
  makeSmallVault,
  readerOf,
  restoreOutcome,
  type SmallVault,
  unlimited,
  withChanges,
} from '../support/small-vault.ts'
import { vmKey } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const recordOf = (id: string, revision: number): string => recoveryPointName(vmKey, id, revision)
const [between, newest] = [recordOf('r2', 2), recordOf('r2', 3)]
const nothingDue = { ...unlimited, checkedBefore: new Date(0) }

let small: SmallVault
/** The small vault, with a third revision of r2. */
let objects: ReadonlyMap<string, Uint8Array>
beforeAll(async () => {
  small = await makeSmallVault('raw')
  const { record } = (await readRevision(readerOf(small.objects), { vmKey, recoveryPointId: 'r2' }, 2, {}))!
  objects = withChanges(small.objects, { [newest]: encodeSealedJson({ ...record, revision: 3 }) })
})

const flipped = (name: string): Uint8Array => {
  const copy = Buffer.from(objects.get(name)!)
  copy[100]! ^= 1
  return copy
}

/** A vault that may change, and whose reads are written down. */
const openWorld = (changes: Readonly<Record<string, Uint8Array | null>> = {}) => {
  const held = { objects: withChanges(objects, changes) }
  const read: string[] = []
  const vault = {
    ...readerOf(held.objects),
    read: (name: string) => {
      read.push(name)
      return readerOf(held.objects).read(name)
    },
    list: (prefix: string) => readerOf(held.objects).list(prefix),
  }
  const change = (more: Readonly<Record<string, Uint8Array | null>>): void => {
    held.objects = withChanges(held.objects, more)
  }
  return { vault, read, change, control: createMemoryBlobStore(), clock: virtualClock() }
}

type World = ReturnType<typeof openWorld>

const reportsOf = async ({ control }: World) =>
  (await damageOf(control, vmKey)).map(({ name, kind, code, touches }) => ({ name, kind, code, touches }))

describe('a revision between the first and the newest', () => {
  it.each([
    ['damaged', () => flipped(between), 'digest-mismatch'],
    ['gone', () => null, 'object-missing'],
  ])('that is %s is told, touches nothing, and keeps nobody from restoring', async (_, change, code) => {
    const world = openWorld({ [between]: change() })
    expect(await scrubVault(world, unlimited)).toMatchObject({ kind: 'done', found: 1 })
    expect(await reportsOf(world)).toEqual([{ name: between, kind: 'record', code, touches: [] }])
    expect(await restoreOutcome(world.vault, small, 'r2')).toBe('right')
  })

  it('is read when it is due, and at each visit while it is said to be damaged', async () => {
    const world = openWorld()
    await scrubVault(world, unlimited)
    world.change({ [between]: flipped(between) })
    world.read.length = 0
    expect(await scrubVault(world, nothingDue)).toMatchObject({ found: 0 })
    expect(world.read).not.toContain(between)
    expect(await scrubVault(world, unlimited)).toMatchObject({ found: 1 })
    expect(await scrubVault(world, nothingDue)).toMatchObject({ found: 0, cleared: 0 })
    world.change({ [between]: objects.get(between)! })
    expect(await scrubVault(world, nothingDue)).toMatchObject({ cleared: 1 })
    expect(await reportsOf(world)).toEqual([])
  })

  it('is looked at at once where a job came upon it', async () => {
    const world = openWorld({ [between]: flipped(between) })
    expect(await checkSuspected(world, { vmKey, names: new Set([between]) })).toEqual({ found: 1, cleared: 0 })
    expect(await reportsOf(world)).toMatchObject([{ name: between, touches: [] }])
  })

  const end = encodeSealedJson({ format: 1, expired: true, recoveryPointId: 'r2', revision: 4, vmKey })
  const collected = { [recordOf('r2', 1)]: null, [between]: null, [newest]: null, [recordOf('r2', 4)]: end }

  it('is told as long as its recovery point lives: nobody misses it behind the end', async () => {
    const world = openWorld({ [between]: flipped(between) })
    await scrubVault(world, unlimited)
    expect(await scrubVault(world, unlimited)).toMatchObject({ found: 0, cleared: 0 })
    world.change({ [recordOf('r2', 4)]: end })
    expect(await scrubVault(world, unlimited)).toMatchObject({ found: 0, cleared: 1 })
    world.change(collected)
    expect(await scrubVault(world, unlimited)).toMatchObject({ found: 0, cleared: 0 })
    expect(await reportsOf(world)).toEqual([])
  })

  it('may be gone where the recovery point has ended', async () => {
    expect(await scrubVault(openWorld(collected), unlimited)).toMatchObject({ found: 0 })
  })

  it.each([1, 2])('may go together with the others while it is looked for, the %ith time', async (time) => {
    const world = openWorld()
    const vault = {
      ...world.vault,
      read: (name: string) => {
        const times = world.read.filter((one) => one === between).length
        if (name === between && times + 1 === time) world.change(collected)
        return world.vault.read(name)
      },
    }
    const of = { vmKey, names: new Set([between]) }
    expect(await checkSuspected({ ...world, vault }, of)).toEqual({ found: 0, cleared: 0 })
    expect(world.read).toContain(between)
  })

  it('is not missed below a newest one that is damaged, which may have told of an end', async () => {
    const world = openWorld({ [newest]: flipped(newest), [between]: null })
    await scrubVault(world, unlimited)
    expect((await reportsOf(world)).map(({ name }) => name)).toEqual([newest])
  })
})

describe('records of recovery points that have ended', () => {
  const ended = [recordOf('r4', 2), recordOf('r5', 1)]
  const readOf = ({ read }: World): readonly string[] =>
    [...new Set(read.filter((name) => ended.includes(name)))].sort()

  it('are read at each visit without marks, and with marks only when they are due', async () => {
    const world = openWorld()
    await scrubVault(world, unlimited)
    world.read.length = 0
    await scrubVault(world, nothingDue)
    expect(readOf(world)).toEqual(ended)
    for await (const vm of listVms(world.vault, null)) await markVm(world, vm)
    world.read.length = 0
    await scrubVault(world, nothingDue)
    expect(readOf(world)).toEqual([])
    await scrubVault(world, unlimited)
    expect(readOf(world)).toEqual(ended)
  })

  it('are told where they are found damaged, and taken back where they are whole again', async () => {
    const [record = ''] = ended
    const world = openWorld()
    for await (const vm of listVms(world.vault, null)) await markVm(world, vm)
    world.change({ [record]: flipped(record) })
    expect(await scrubVault(world, unlimited)).toMatchObject({ found: 1 })
    expect(await reportsOf(world)).toMatchObject([{ name: record, kind: 'record', code: 'digest-mismatch' }])
    world.change({ [record]: objects.get(record)! })
    expect(await scrubVault(world, nothingDue)).toMatchObject({ cleared: 1 })
  })
})
