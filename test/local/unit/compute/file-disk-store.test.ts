import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDiskStore, DiskStoreError, type FileDiskStore } from '../../../../local/compute/disks/file-disk-store.ts'
import type { DiskStoreOptions } from '../../../../local/compute/disks/store-state.ts'

const page = 4096
const mebibyte = 2 ** 20
const diskId = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/web-data1'

describe('the disk store', () => {
  let folder: string
  let store: FileDiskStore
  let now: Date
  const openStore = (options: Partial<DiskStoreOptions> = {}): Promise<FileDiskStore> =>
    createDiskStore({ folder: join(folder, 'store'), publicOrigin: 'http://127.0.0.1:1', now: () => now, ...options })
  const makeRaw = async (name: string, sizeBytes = mebibyte): Promise<string> => {
    const path = join(folder, name)
    await writeFile(path, randomBytes(3 * page))
    await truncate(path, sizeBytes)
    return path
  }
  beforeEach(async () => {
    now = new Date('2026-01-02T03:04:05.678Z')
    folder = await mkdtemp(join(tmpdir(), 'disk-store-'))
    store = await openStore()
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, { recursive: true, force: true })
  })

  describe('an adopted raw image', () => {
    it('stays where it is, also when the disk is removed', async () => {
      const path = await makeRaw('raw.img')
      const disk = await store.adoptRawImage(diskId, path)
      expect(disk).toMatchObject({ id: diskId, kind: 'disk', sizeBytes: mebibyte, imagePath: path, sequence: 0 })
      await store.remove(diskId)
      expect(existsSync(path)).toBe(true)
      expect(await store.describe(diskId)).toBeNull()
    })

    it('is the same disk when adopted again, larger when its file has grown', async () => {
      const path = await makeRaw('raw.img')
      const first = await store.adoptRawImage(diskId, path)
      await truncate(path, 2 * mebibyte)
      const again = await store.adoptRawImage(diskId, path)
      expect(again).toEqual({ ...first, sizeBytes: 2 * mebibyte })
    })

    it('may not shrink, be of an odd size or be another file', async () => {
      const path = await makeRaw('raw.img')
      await store.adoptRawImage(diskId, path)
      await truncate(path, mebibyte / 2)
      await expect(store.adoptRawImage(diskId, path)).rejects.toMatchObject({ code: 'badSize' })
      await expect(store.adoptRawImage(diskId, await makeRaw('other.img'))).rejects.toMatchObject({ code: 'conflict' })
      await expect(store.adoptRawImage('odd', await makeRaw('odd.img', mebibyte + 1))).rejects.toMatchObject({
        code: 'badSize',
      })
    })
  })

  describe('a snapshot', () => {
    it('keeps the bytes of its moment while the disk changes', async () => {
      const path = await makeRaw('raw.img')
      await store.adoptRawImage(diskId, path)
      const before = await readFile(path)
      const snapshot = await store.snapshot(diskId, 'one')
      await writeFile(path, randomBytes(mebibyte))
      expect((await readFile(snapshot.imagePath)).equals(before)).toBe(true)
    })

    it('belongs to the family of its disk and counts up', async () => {
      await store.adoptRawImage(diskId, await makeRaw('raw.img'))
      const [one, two] = [await store.snapshot(diskId, 'one'), await store.snapshot(diskId, 'two')]
      await store.remove('two')
      const three = await store.snapshot(diskId, 'three')
      expect([one.sequence, two.sequence, three.sequence]).toEqual([1, 2, 3])
      expect(new Set([one.familyId, two.familyId, three.familyId]).size).toBe(1)
    })

    it('is taken once, however often it is asked for', async () => {
      const path = await makeRaw('raw.img')
      await store.adoptRawImage(diskId, path)
      const first = await store.snapshot(diskId, 'one')
      await writeFile(path, randomBytes(mebibyte))
      expect(await store.snapshot(diskId, 'one')).toEqual(first)
      expect((await store.describe(diskId))?.sequence).toBe(1)
    })

    it('costs no more space than its disk holds', async () => {
      const path = await makeRaw('sparse.img', 64 * 1024 * mebibyte)
      await store.adoptRawImage(diskId, path)
      const { imagePath } = await store.snapshot(diskId, 'one')
      expect((await stat(imagePath)).size).toBe(64 * 1024 * mebibyte)
      expect((await stat(imagePath)).blocks * 512).toBeLessThan(mebibyte)
    })

    it('starts a new family where a disk is made anew under the same name', async () => {
      const path = await makeRaw('raw.img')
      const { familyId } = await store.adoptRawImage(diskId, path)
      await store.remove(diskId)
      expect((await store.adoptRawImage(diskId, path)).familyId).not.toBe(familyId)
    })
  })

  describe('a copy', () => {
    it('is a disk of its own family, larger if asked, zero behind the source', async () => {
      const path = await makeRaw('raw.img')
      await store.adoptRawImage(diskId, path)
      const snapshot = await store.snapshot(diskId, 'one')
      const copy = await store.copy('one', 'restored', 'disk', 2 * mebibyte)
      const bytes = await readFile(copy.imagePath)
      expect(bytes.subarray(0, mebibyte).equals(await readFile(path))).toBe(true)
      expect(bytes.subarray(mebibyte).every((byte) => byte === 0)).toBe(true)
      expect(copy.familyId).not.toBe(snapshot.familyId)
      expect(copy.kind).toBe('disk')
    })

    it('holds nothing of a file that is longer than the disk it is', async () => {
      const path = await makeRaw('raw.img')
      await store.adoptRawImage(diskId, path)
      await writeFile(path, randomBytes(2 * mebibyte))
      const copy = await store.copy(diskId, 'copy', 'disk', 2 * mebibyte)
      expect((await readFile(copy.imagePath)).subarray(mebibyte).every((byte) => byte === 0)).toBe(true)
    })

    it.each([
      ['longer', 2 * mebibyte],
      ['shorter', mebibyte / 2],
      ['gone', null],
    ])('is not taken of a file that is %s than its disk, and says what to do', async (_, sizeBytes) => {
      const path = await makeRaw('raw.img')
      await store.adoptRawImage(diskId, path)
      if (sizeBytes === null) await rm(path)
      else await truncate(path, sizeBytes)
      await expect(store.snapshot(diskId, 'one')).rejects.toThrow(/^The image \S+raw\.img (is gone|has \d+ bytes)/)
    })

    it('of a snapshot to a snapshot stays in the family', async () => {
      await store.adoptRawImage(diskId, await makeRaw('raw.img'))
      const one = await store.snapshot(diskId, 'one')
      const copy = await store.copy('one', 'copied', 'snapshot', mebibyte)
      expect(copy).toMatchObject({ familyId: one.familyId, sequence: one.sequence, kind: 'snapshot' })
    })

    it('is never smaller', async () => {
      await store.adoptRawImage(diskId, await makeRaw('raw.img'))
      await expect(store.copy(diskId, 'small', 'disk', mebibyte / 2)).rejects.toMatchObject({ code: 'badSize' })
    })
  })

  describe('its names', () => {
    it('are those of the disks, for people', async () => {
      const disk = await store.createEmpty(diskId, mebibyte)
      expect(basename(disk.imagePath)).toBe('web-data1.img')
    })

    it('tell apart disks that share a name, also those made at once', async () => {
      const ids = ['/a/Data', '/b/data', '/c/data']
      const disks = await Promise.all(ids.map((id) => store.createEmpty(id, mebibyte)))
      expect(new Set(disks.map(({ imagePath }) => imagePath.toLowerCase())).size).toBe(3)
    })

    it('leave the folder never, whatever the id', async () => {
      for (const id of ['../../outside', '/a/..', 'x'.repeat(4000), '/', '', 'a/\u0000b']) {
        const { imagePath } = await store.createEmpty(id, mebibyte)
        expect(imagePath.startsWith(join(folder, 'store', 'disks'))).toBe(true)
        expect(existsSync(imagePath)).toBe(true)
      }
    })
  })

  describe('after a kill', () => {
    it('has everything it had answered for', async () => {
      const path = await makeRaw('raw.img')
      await store.adoptRawImage(diskId, path)
      await store.snapshot(diskId, 'one')
      await store.createUpload('up', 2 * mebibyte)
      const { sasUrl } = await store.grant('one', 'Read', 600)
      const reopened = await openStore()
      for (const id of [diskId, 'one', 'up']) expect(await reopened.describe(id)).toEqual(await store.describe(id))
      expect(await reopened.authorize(new URL(sasUrl))).toMatchObject({ kind: 'snapshot' })
      expect((await reopened.snapshot(diskId, 'two')).sequence).toBe(2)
    })

    it('has swept away copies that were not whole', async () => {
      await store.createEmpty(diskId, mebibyte)
      const orphan = join(folder, 'store', 'snapshots', 'orphan.img')
      const half = join(folder, 'store', 'disks', 'half.img.tmp')
      await writeFile(orphan, 'x')
      await writeFile(half, 'x')
      await openStore()
      expect([existsSync(orphan), existsSync(half)]).toEqual([false, false])
    })

    it('does not show the bytes of a disk that was never finished', async () => {
      const leftover = join(folder, 'store', 'disks', 'web-data1.img')
      await writeFile(leftover, randomBytes(mebibyte))
      const { imagePath } = await store.createEmpty(diskId, mebibyte)
      expect((await readFile(imagePath)).every((byte) => byte === 0)).toBe(true)
    })
  })

  describe('an upload', () => {
    it('is finished only with the footer of a fixed VHD of its size', async () => {
      await store.createUpload('up', mebibyte)
      const result = await store.finishUpload('up')
      expect(result).toMatchObject({ kind: 'badFooter', message: expect.stringContaining("'conectix'") })
      expect((await store.describe('up'))?.kind).toBe('upload')
    })

    it('alone can be granted for writing', async () => {
      await store.createEmpty('disk', mebibyte)
      await expect(store.grant('disk', 'Write', 60)).rejects.toMatchObject({ code: 'notUpload' })
    })
  })

  describe('a disk too large for one file', () => {
    beforeEach(async () => {
      await store.close()
      store = await openStore({ fileBytesMax: 4 * page })
    })
    const joined = async (path: string): Promise<Buffer> => {
      const names = (await readdir(path)).sort()
      return Buffer.concat(await Promise.all(names.map((name) => readFile(join(path, name)))))
    }

    it('lies in a folder of parts, which snapshots and copies keep', async () => {
      const { imagePath } = await store.createEmpty('large', 10 * page)
      expect((await readdir(imagePath)).sort()).toEqual(['part-0000.img', 'part-0001.img', 'part-0002.img'])
      const file = await open(join(imagePath, 'part-0001.img'), 'r+')
      await file.write(randomBytes(page), 0, page, 2 * page)
      await file.close()
      const snapshot = await store.snapshot('large', 'one')
      const copy = await store.copy('one', 'copy', 'disk', 14 * page)
      const bytes = await joined(imagePath)
      expect((await joined(snapshot.imagePath)).equals(bytes)).toBe(true)
      expect((await joined(copy.imagePath)).subarray(0, 10 * page).equals(bytes)).toBe(true)
      expect((await joined(copy.imagePath)).byteLength).toBe(14 * page)
    })

    it('grows out of its one file with its bytes', async () => {
      const { imagePath } = await store.createEmpty('disk', 3 * page)
      await writeFile(imagePath, randomBytes(3 * page))
      const before = await readFile(imagePath)
      await store.resize('disk', 9 * page)
      const grown = await store.describe('disk')
      const bytes = await joined(grown?.imagePath ?? '')
      expect(grown?.sizeBytes).toBe(9 * page)
      expect(bytes.byteLength).toBe(9 * page)
      expect(bytes.subarray(0, 3 * page).equals(before)).toBe(true)
      expect(existsSync(imagePath)).toBe(false)
    })
  })

  it('makes and snapshots a disk of 32 TiB, which no file of ext4 can hold', async () => {
    const sizeBytes = 32 * 2 ** 40
    const { imagePath } = await store.createEmpty('huge', sizeBytes)
    await store.snapshot('huge', 'one')
    expect(await readdir(imagePath)).toHaveLength(4)
    const kibibytes = Number(execFileSync('du', ['-sk', join(folder, 'store')], { encoding: 'utf8' }).split('\t')[0])
    expect(kibibytes).toBeLessThan(1024)
  })

  it('resizes disks, but no snapshot, and only to more', async () => {
    const path = await makeRaw('raw.img')
    await store.adoptRawImage(diskId, path)
    await store.snapshot(diskId, 'one')
    await store.resize(diskId, 2 * mebibyte)
    expect((await stat(path)).size).toBe(2 * mebibyte)
    await expect(store.resize(diskId, mebibyte)).rejects.toMatchObject({ code: 'badSize' })
    await expect(store.resize('one', 2 * mebibyte)).rejects.toMatchObject({ code: 'conflict' })
    await expect(store.resize('nowhere', mebibyte)).rejects.toMatchObject({ code: 'notFound' })
    await expect(store.resize('nowhere', mebibyte)).rejects.toBeInstanceOf(DiskStoreError)
  })

  it('frees the bytes of what is removed', async () => {
    await store.createEmpty(diskId, mebibyte)
    await store.snapshot(diskId, 'one')
    await store.remove('one')
    await store.remove(diskId)
    await store.remove(diskId)
    for (const name of ['disks', 'snapshots', 'contents'])
      expect(await readdir(join(folder, 'store', name))).toEqual([])
  })
})
