import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createExtentFinder, type ExtentFinder } from '../../../../local/compute/disks/allocated-extents.ts'
import { copyExtents } from '../../../../local/compute/disks/copy-image.ts'
import type { Extent } from '../../../../shared/domain/extent.ts'

const page = 4096
/** Of util-linux; Node has no call for it. */
const setAside = 'fallocate'

const collect = async (finder: ExtentFinder, path: string, sizeBytes: number): Promise<Extent[]> => {
  const extents: Extent[] = []
  for await (const extent of finder.find({ path, sizeBytes, partBytes: null })) extents.push(extent)
  return extents
}

describe('the allocated extents of an image', () => {
  let folder: string
  let path: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'extents-'))
    path = join(folder, 'image')
    await writeFile(path, '')
    await truncate(path, 1024 * page)
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))
  const write = async (offset: number, length: number): Promise<void> => {
    const file = await open(path, 'r+')
    await file.write(randomBytes(length), 0, length, offset)
    await file.close()
  }

  describe.each(['filefrag', 'scan'] as const)('found by %s', (mode) => {
    const finder = createExtentFinder(mode)

    it('are none of a file that is one hole', async () => {
      expect(await collect(finder, path, 1024 * page)).toEqual([])
    })

    it('hold what was just written, not yet on the disk', async () => {
      await write(64 * page, 32 * page)
      expect(await collect(finder, path, 1024 * page)).toEqual([{ offsetBytes: 64 * page, lengthBytes: 32 * page }])
    })

    it('are clipped to the size of the image', async () => {
      await write(0, 16 * page)
      expect(await collect(finder, path, page + 512)).toEqual([{ offsetBytes: 0, lengthBytes: page + 512 }])
    })

    it('leave out space that was only set aside', async () => {
      execFileSync(setAside, ['--length', String(64 * page), '--offset', String(512 * page), path])
      await write(0, page)
      const extents = await collect(finder, path, 1024 * page)
      expect(extents.every(({ offsetBytes }) => offsetBytes < 512 * page)).toBe(true)
    })

    it('hold every byte that is not zero, of thousands of scattered pages', async () => {
      for (let index = 0; index < 1024; index += 2) await write(index * page + 1000, 10)
      const covered = new Set<number>()
      for (const { offsetBytes, lengthBytes } of await collect(finder, path, 1024 * page)) {
        for (let at = offsetBytes; at < offsetBytes + lengthBytes; at += page) covered.add(at / page)
      }
      for (let index = 0; index < 1024; index += 2) expect(covered.has(index)).toBe(true)
    })
  })

  // A tmpfs has no FIEMAP.
  it.skipIf(!existsSync('/dev/shm'))('are found by scanning where filefrag cannot answer', async () => {
    const shared = await mkdtemp('/dev/shm/extents-')
    const image = join(shared, 'image')
    await writeFile(image, randomBytes(page))
    await truncate(image, 64 * page)
    expect(await collect(createExtentFinder(), image, 64 * page)).toEqual([{ offsetBytes: 0, lengthBytes: 16 * page }])
    await rm(shared, { recursive: true })
  })

  it('alone are copied where there is no cp that knows holes', async () => {
    await write(5 * page, page)
    await write(900 * page, 3)
    const copy = join(folder, 'copy')
    const part = { offsetBytes: 0, lengthBytes: 1024 * page }
    await copyExtents({ path, ...part }, { path: copy, ...part })
    await truncate(copy, 1024 * page)
    expect((await readFile(copy)).equals(await readFile(path))).toBe(true)
    expect((await stat(copy)).blocks * 512).toBeLessThanOrEqual(40 * page)
  })
})
