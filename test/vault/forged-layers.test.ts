import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestHex } from '../../shared/format/digest.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { type Changes, layerPlaces, resealLayer, resealRecords } from '../reader/support/objects.ts'
import { projectFolder } from '../support/documents.ts'
import { loadGoldenVault } from '../support/golden-vault.ts'
import { restoreDisk, vmKey } from '../support/vault-world.ts'

/** Layers that break a rule under digests that are right up to the commit record: whoever writes so is refused, and never believed in part.
 * Places are those of docs/format.md, section 11; the layer of r2 has the shard shown there first. */
const name = 'layers/r2/os'

const restoredWith = async (forge: (layer: Buffer, footerAt: number) => void): Promise<string> => {
  const { vault, images } = await loadGoldenVault(join(projectFolder, 'test/golden/vectors/v1/raw'))
  const objects = new Map([...vault.objects].map(([key, { bytes }]) => [key, Buffer.from(bytes)]))
  const layer = objects.get(name) ?? expect.unreachable()
  const places = layerPlaces(layer)
  forge(layer, places.footerAt)
  resealLayer(layer, places)
  const changes: Changes = new Map([[name, layer]])
  resealRecords(objects, changes, name)
  for (const [key, bytes] of changes) vault.objects.set(key, { bytes: bytes ?? expect.unreachable(), etag: 'forged' })
  const found = await readRecoveryPoint(vault, { vmKey, recoveryPointId: 'r2' })
  const { recoveryPoint } = found ?? expect.unreachable()
  return digestHex(await restoreDisk(vault, recoveryPoint, 'os')) === images.r2?.os ? 'right' : 'wrong'
}

const fencesAt = (layer: Buffer): number => layerPlaces(layer).fencesAt
const swapRuns = (layer: Buffer): void => {
  const first = Buffer.from(layer.subarray(154, 166))
  layer.copy(layer, 154, 166, 178)
  first.copy(layer, 166)
}

describe('a layer under right digests', () => {
  it('is read where it keeps the rules', async () => {
    expect(await restoredWith(() => undefined)).toBe('right')
  })

  it.each<[string, string, (layer: Buffer, footerAt: number) => void]>([
    ['runs that are not sorted', 'the runs are not sorted', swapRuns],
    ['a last run that ends early', 'do not end where the shard does', (layer) => layer.writeUInt32LE(0xca, 178)],
    ['a frame larger than its capacity', 'is not allowed', (layer, at) => layer.writeUInt32LE(4096, at + 24)],
    ['a stored length that no frame has', 'is not stored in', (layer) => layer.writeUInt32LE(0x1341, 106)],
    ['a shard that begins before its fence key', 'its fence key', (layer) => layer.writeUInt8(9, fencesAt(layer))],
    ['a birth of no disk', 'no disk', (layer) => layer.write('xs', 54)],
    ['a segment that is none', 'no segment', (layer) => layer.write('segmentz', 66)],
    ['a segment that the footer does not name', 'the footer names no', (layer) => layer.write('r1', 75)],
    ['a disk that ends before its runs', 'behind the disk', (layer, at) => layer.writeUInt32LE(512, at + 32)],
  ])('is refused for %s', async (_, detail, forge) => {
    await expect(restoredWith(forge)).rejects.toMatchObject({
      fault: { code: 'malformed', name, detail: expect.stringContaining(detail) },
    })
  })
})
