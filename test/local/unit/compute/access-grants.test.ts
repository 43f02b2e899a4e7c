import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDiskStore, type FileDiskStore } from '../../../../local/compute/disks/file-disk-store.ts'

const diskId = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/web-data1'

describe('a grant of access to a disk', () => {
  let folder: string
  let store: FileDiskStore
  let now: Date
  beforeEach(async () => {
    now = new Date('2026-01-02T03:04:05.678Z')
    folder = await mkdtemp(join(tmpdir(), 'disk-grants-'))
    store = await createDiskStore({ folder: join(folder, 'store'), publicOrigin: 'http://127.0.0.1:1', now: () => now })
    await writeFile(join(folder, 'raw.img'), randomBytes(4096))
    await store.adoptRawImage(diskId, join(folder, 'raw.img'))
    await store.snapshot(diskId, 'one')
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('is extended while it lives, with the same URL, and never cut', async () => {
    const first = await store.grant('one', 'Read', 600)
    const second = await store.grant('one', 'Read', 60)
    const third = await store.grant('one', 'Read', 1200)
    expect([second.sasUrl, third.sasUrl]).toEqual([first.sasUrl, first.sasUrl])
    expect(second.expiresAt).toEqual(first.expiresAt)
    expect(third.expiresAt.getTime() - now.getTime()).toBe(1_200_000)
  })

  it('shows neither expiry nor rights', async () => {
    const { sasUrl } = await store.grant('one', 'Read', 600)
    expect([...new URL(sasUrl).searchParams.keys()]).toEqual(['snapshot', 'sv', 'sr', 'si', 'sig'])
    expect(new URL(sasUrl).searchParams.get('sr')).toBe('bs')
    const disk = new URL((await store.grant(diskId, 'Read', 600)).sasUrl)
    expect([...disk.searchParams.keys()]).toEqual(['sv', 'sr', 'si', 'sig'])
  })

  it('ends when its time has come, and the next has another URL', async () => {
    const { sasUrl } = await store.grant('one', 'Read', 600)
    now = new Date(now.getTime() + 600_000)
    expect(await store.authorize(new URL(sasUrl))).toBeNull()
    expect(await store.revoke('one')).toBe(false)
    expect((await store.grant('one', 'Read', 600)).sasUrl).not.toBe(sasUrl)
  })

  it('ends at once when revoked, once', async () => {
    const { sasUrl } = await store.grant('one', 'Read', 600)
    expect(await store.revoke('one')).toBe(true)
    expect(await store.revoke('one')).toBe(false)
    expect(await store.authorize(new URL(sasUrl))).toBeNull()
  })

  it('is counted in its family while it lives', async () => {
    await store.snapshot(diskId, 'two')
    const { familyId } = await store
      .grant('one', 'Read', 600)
      .then(async () => (await store.describe('one')) ?? { familyId: '' })
    await store.grant('two', 'Read', 60)
    expect(await store.liveGrants(familyId)).toEqual(['one', 'two'])
    now = new Date(now.getTime() + 60_000)
    expect(await store.liveGrants(familyId)).toEqual(['one'])
    await store.revoke('one')
    expect(await store.liveGrants(familyId)).toEqual([])
  })

  it.each([
    ['signature', (url: URL) => url.searchParams.set('sig', 'AAAA')],
    ['policy', (url: URL) => url.searchParams.set('si', '0'.repeat(32))],
    ['kind', (url: URL) => url.searchParams.set('sr', 'b')],
    ['snapshot time', (url: URL) => url.searchParams.delete('snapshot')],
    ['path', (url: URL) => (url.pathname = url.pathname.replace('abcd', 'abce'))],
  ])('is not opened by another %s', async (_name, change) => {
    const url = new URL((await store.grant('one', 'Read', 600)).sasUrl)
    expect(await store.authorize(url)).not.toBeNull()
    change(url)
    expect(await store.authorize(url)).toBeNull()
  })

  it('of one content does not open another', async () => {
    await store.snapshot(diskId, 'two')
    const [one, two] = [
      new URL((await store.grant('one', 'Read', 600)).sasUrl),
      new URL((await store.grant('two', 'Read', 600)).sasUrl),
    ]
    one.pathname = two.pathname
    expect(await store.authorize(one)).toBeNull()
  })
})
