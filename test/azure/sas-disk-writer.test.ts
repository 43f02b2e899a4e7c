import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { footerFault } from '../../local/compute/disks/vhd-footer.ts'
import { createSasDiskWriter } from '../../shared/azure/sas-disk-writer.ts'
import { fixedVhdFooter } from '../../shared/azure/sas-vhd-footer.ts'
import type { DiskWriter } from '../../shared/ports/disk-writer.ts'
import { mebibyte, type PlaneFixture, startFixture } from '../compute/data-plane/plane-fixture.ts'
import { quick } from './sas-fixture.ts'

const sizeBytes = 12 * mebibyte

describe('the disk writer over SAS URLs', () => {
  let fixture: PlaneFixture
  let imagePath: string
  let writer: DiskWriter
  beforeEach(async () => {
    fixture = await startFixture()
    ;({ imagePath } = await fixture.store.createUpload('disk', sizeBytes))
    const { sasUrl } = await fixture.store.grant('disk', 'Write', 600)
    writer = createSasDiskWriter({ sasUrl, sizeBytes, limits: quick })
  })
  afterEach(async () => {
    writer.close()
    await fixture[Symbol.asyncDispose]()
  })

  it('writes more than 4 MiB in calls of 4 MiB', async () => {
    const bytes = randomBytes(9 * mebibyte)
    await writer.write(mebibyte, bytes)
    expect((await readFile(imagePath)).subarray(mebibyte, 10 * mebibyte).equals(bytes)).toBe(true)
    expect(writer.counters).toEqual({ writeCalls: 3, writtenBytes: 9 * mebibyte })
  })

  it('leaves a disk that the platform takes, once its footer is written', async () => {
    await writer.write(sizeBytes - 512, randomBytes(512))
    expect((await fixture.store.finishUpload('disk')).kind).toBe('badFooter')
    await writer.writeFooter()
    await writer.writeFooter()
    expect(await fixture.store.finishUpload('disk')).toEqual({ kind: 'ok' })
  })

  it.each([
    ['throttled', { status: 503, retryAfterSeconds: 0 }],
    ['cut off before the write', { dropConnection: true }],
    ['cut off after the write', { dropAfterEffect: true }],
  ])('writes right when %s', async (_name, fault) => {
    fixture.plane.faults.add({ ...fault, operation: 'PutPage', times: 2 })
    const bytes = randomBytes(5 * mebibyte)
    await writer.write(0, bytes)
    expect((await readFile(imagePath)).subarray(0, bytes.byteLength).equals(bytes)).toBe(true)
  })

  it('says that access has ended, without the URL', async () => {
    await fixture.store.revoke('disk')
    const failure = await writer.write(0, randomBytes(512)).catch((error: unknown) => error)
    expect(failure).toMatchObject({ fault: { code: 'access-ended' } })
    expect(String((failure as Error).stack)).not.toMatch(/sig=/)
  })

  it('takes whole sectors inside the disk only', async () => {
    await expect(writer.write(0, new Uint8Array(100))).rejects.toThrow(/sectors/)
    await expect(writer.write(sizeBytes, new Uint8Array(512))).rejects.toThrow(/past the end/)
  })
})

describe('the footer of a fixed VHD', () => {
  it.each([20 * mebibyte, 127 * 1024 * mebibyte + 2 * mebibyte, 512 * mebibyte, 32 * 2 ** 40])(
    'is right for %i bytes',
    (bytes) => {
      expect(footerFault(Buffer.from(fixedVhdFooter(bytes, 'disk')), bytes)).toBeNull()
    },
  )

  it('is the same for the same disk', () => {
    expect(fixedVhdFooter(mebibyte, 'disk')).toEqual(fixedVhdFooter(mebibyte, 'disk'))
    expect(fixedVhdFooter(mebibyte, 'disk')).not.toEqual(fixedVhdFooter(mebibyte, 'other'))
  })

  it('has the bytes of the specification for a disk of 1 GiB', () => {
    const footer = Buffer.from(fixedVhdFooter(2 ** 30, 'disk'))
    // 2,097,152 sectors are 2,080 cylinders of 16 heads of 63 sectors.
    expect(footer.toString('hex', 0, 24)).toBe('636f6e6563746978' + '00000002' + '00010000' + 'ffffffffffffffff')
    expect(footer.toString('hex', 40, 64)).toBe('00000000400000000000000040000000' + '0820103f' + '00000002')
  })
})
