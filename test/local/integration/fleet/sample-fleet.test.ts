import { execFileSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { changedBytesBetween, compareImages } from '../../../../local/demo/compare-images.ts'
import { changeSampleFleet } from '../../../../local/fleet/change-sample-fleet.ts'
import { makeSampleFleet } from '../../../../local/fleet/make-sample-fleet.ts'

/** Two folders made alike; one of them is changed once. */
describe('the sample fleet', () => {
  let folders: readonly [string, string]
  let images: readonly string[] = []
  const image = (folder: number, name: string) => join(folders[folder]!, 'images', name)

  beforeAll(async () => {
    folders = [await mkdtemp(join(tmpdir(), 'fleet-')), await mkdtemp(join(tmpdir(), 'fleet-'))]
    for (const folder of folders) await makeSampleFleet(folder, 'a seed', '02:00')
    images = await readdir(join(folders[0], 'images'))
  }, 60_000)
  afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))))

  it('is the same for the same seed, byte for byte', async () => {
    expect(images).toHaveLength(5)
    for (const name of images) expect(await compareImages(image(0, name), image(1, name))).toEqual({ kind: 'same' })
  })

  it('has whole mebibytes in every disk, as uploads need, and much that was never written', async () => {
    for (const name of images) {
      const { size, blocks } = await stat(image(0, name))
      expect(size % (1024 * 1024)).toBe(0)
      expect(blocks * 512).toBeLessThan(size * 0.75)
    }
  })

  it('is kept when it is there already, and changes in part of its pages only, file systems sound', async () => {
    const again = await makeSampleFleet(folders[0], 'another seed', '03:00')
    expect(again).toMatchObject({ isNew: false, round: 0 })
    const changed = await changeSampleFleet(folders[0], again, 'a seed')
    expect(changed.lines).toHaveLength(images.length)
    for (const name of images) {
      const bytes = await changedBytesBetween(image(1, name), image(0, name))
      expect(bytes).toBeGreaterThan(64 * 1024)
      expect(bytes).toBeLessThan((await stat(image(0, name))).blocks * 512 * 0.4)
      if (again.tools !== null && name.startsWith('web'))
        execFileSync(again.tools.mke2fs.replace('mke2fs', 'e2fsck'), ['-fn', image(0, name)], { stdio: 'pipe' })
    }
    expect(JSON.parse(await readFile(join(folders[0], 'changes.json'), 'utf8'))).toMatchObject({ round: 1 })
  }, 60_000)

  it('changes differently the next time', async () => {
    const before = image(1, 'web-01-db.raw')
    const once = await changedBytesBetween(before, image(0, 'web-01-db.raw'))
    await changeSampleFleet(folders[0], await makeSampleFleet(folders[0], 'a seed', '02:00'), 'a seed')
    expect(await changedBytesBetween(before, image(0, 'web-01-db.raw'))).toBeGreaterThan(once)
  }, 60_000)
})

describe('the sample fleet without e2fsprogs', () => {
  it('holds raw bytes of the same sizes, and changes in place', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fleet-'))
    const none = async () => null
    const fleet = await makeSampleFleet(folder, 'a seed', '02:00', none)
    expect(fleet.tools).toBeNull()
    const path = join(folder, 'images', 'web-01-db.raw')
    const { size, blocks } = await stat(path)
    expect(size).toBe(128 * 1024 * 1024)
    expect(blocks * 512).toBeGreaterThan(32 * 1024 * 1024)
    const before = await readFile(path)
    await changeSampleFleet(folder, await makeSampleFleet(folder, 'a seed', '02:00', none), 'a seed')
    expect(before.equals(await readFile(path))).toBe(false)
    await rm(folder, { recursive: true })
  }, 60_000)

  it('is not changed blindly where it was made with a file system', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fleet-'))
    await writeFile(join(folder, 'fleet.json'), '{}')
    await writeFile(join(folder, 'changes.json'), '{"round":0,"hasExt4":true}')
    await expect(makeSampleFleet(folder, 'a seed', '02:00', async () => null)).rejects.toThrow('Install e2fsprogs')
    await rm(folder, { recursive: true })
  })
})
