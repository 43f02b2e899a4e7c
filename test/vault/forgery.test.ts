import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { noKeys } from '../../shared/format/data-key.ts'
import { digestBytes, digestHex } from '../../shared/format/digest.ts'
import { decodeFrameHeader, encodeFrame, openFrame } from '../../shared/format/frame.ts'
import { encodeIndexFooter, openIndexFooter } from '../../shared/format/index-footer.ts'
import { decodeSealedJson, encodeSealedJson } from '../../shared/format/sealed-json.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { type GoldenVault, loadGoldenVault } from '../support/golden-vault.ts'
import { restoreDisk, vmKey } from '../support/vault-world.ts'

/** Damage that is consistent in itself: every structure parses, every own checksum is right. Only the digest one link further up the
 * chain (record, footer, fence key, frame entry) can tell. */
const folder = join(import.meta.dirname, '..', 'golden', 'vectors', 'v1', 'raw')
const layer = 'layers/r2/os'
const record = 'recovery-points/vm-000000000000/r2/0001.json'

const restored = async ({ vault, images }: GoldenVault): Promise<string> => {
  const found = await readRecoveryPoint(vault, { vmKey, recoveryPointId: 'r2' })
  if (found === null) return 'absent'
  return digestHex(await restoreDisk(vault, found.recoveryPoint, 'os')) === images.r2?.os ? 'right' : 'wrong'
}

const change = (golden: GoldenVault, name: string, edit: (bytes: Buffer) => Buffer): void => {
  const bytes = Buffer.from(golden.vault.objects.get(name)?.bytes ?? [])
  golden.vault.objects.set(name, { bytes: edit(bytes), etag: 'forged' })
}

/** The zero run of sectors 16 to 31 becomes one sector longer, the hole behind it one shorter (docs/format.md, section 11). */
const moveRun = (bytes: Buffer): Buffer => {
  expect(bytes.subarray(166, 178).toString('hex')).toBe('100000000010008000000000')
  bytes.writeUInt8(17, 171)
  return bytes
}

const footerBytes = (bytes: Buffer): number => bytes.readUInt32LE(bytes.length - 12)

/** The same layer with fence keys and footer made anew for what its shards hold now. */
const reseal = (bytes: Buffer): Buffer => {
  const place = bytes.length - footerBytes(bytes)
  const footer = openIndexFooter(bytes.subarray(place), { name: layer, place }, bytes.length)
  const fences = Array.from({ length: footer.shards }, (_, index) => {
    const fence = footer.fence(index)
    return { ...fence, digest: digestBytes(bytes.subarray(fence.placeBytes, fence.placeBytes + fence.lengthBytes)) }
  })
  return Buffer.concat([bytes.subarray(0, place), encodeIndexFooter(footer, fences)])
}

describe('a consistent forgery', () => {
  it('is none: the golden vault as it is', async () => {
    expect(await restored(await loadGoldenVault(folder))).toBe('right')
  })

  it('of a shard is told by its fence key', async () => {
    const golden = await loadGoldenVault(folder)
    change(golden, layer, moveRun)
    await expect(restored(golden)).rejects.toMatchObject({ fault: { code: 'digest-mismatch', name: layer, place: 0 } })
  })

  it('of a whole layer is told by the commit record', async () => {
    const golden = await loadGoldenVault(folder)
    change(golden, layer, (bytes) => reseal(moveRun(bytes)))
    await expect(restored(golden)).rejects.toMatchObject({ fault: { code: 'digest-mismatch', name: layer } })
  })

  it('of a layer and its digest in the record is told by the Merkle root', async () => {
    const golden = await loadGoldenVault(folder)
    change(golden, layer, (bytes) => reseal(moveRun(bytes)))
    const forged = Buffer.from(golden.vault.objects.get(layer)?.bytes ?? [])
    const body = forged.subarray(forged.length - footerBytes(forged), forged.length - 44)
    change(golden, record, (bytes) => {
      const parsed = decodeSealedJson(bytes, record) as { disks: { stack: { digest: string }[] }[] }
      const reference = parsed.disks[0]?.stack[0]
      if (reference) reference.digest = digestHex(body)
      return encodeSealedJson(parsed)
    })
    await expect(restored(golden)).rejects.toMatchObject({ fault: { code: 'digest-mismatch', name: record } })
  })

  it('of a frame is told by its entry in the layer', async () => {
    const golden = await loadGoldenVault(folder)
    change(golden, 'segments/r2/os/000000.0001-00000', (bytes) => {
      const header = decodeFrameHeader(bytes, { name: 'segment', place: 0 })
      const payload = Buffer.alloc(header.payloadBytes, 'forged')
      const forged = encodeFrame({ ...header, payload }, null)
      return Buffer.concat([forged.header, payload, bytes.subarray(header.headerBytes + payload.length)])
    })
    await expect(restored(golden)).rejects.toMatchObject({ fault: { code: 'digest-mismatch', place: 0 } })
  })

  it('of a frame that lies about its own digest is told as well', () => {
    const birth = { recoveryPointId: 'r1', disk: 'os', slice: 0, attempt: 1, ordinal: 0 }
    const payload = Buffer.alloc(512, 'x')
    const { header, digest } = encodeFrame({ birth, compression: 'raw', payload, plainBytes: 512 }, null)
    header.fill(0, header.length - 36, header.length - 4)
    header.writeUInt32LE(crc32(header.subarray(0, header.length - 4)), header.length - 4)
    const stored = Buffer.concat([header, payload])
    const place = { segment: 's', placeBytes: 0, storedBytes: stored.length, plainBytes: 512, digest, birth }
    expect(() => openFrame(stored, place, noKeys)).toThrow(/digest/)
  })
})
