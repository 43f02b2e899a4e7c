import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { noKeys } from '../../shared/format/data-key.ts'
import { openFrame } from '../../shared/format/frame.ts'
import { footerLengthOf, openIndexFooter } from '../../shared/format/index-footer.ts'
import { openShard } from '../../shared/format/shard.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { loadGoldenVault } from '../support/golden-vault.ts'
import { mib, restoreDisk, vmKey } from '../support/vault-world.ts'

/** The listing at the end of docs/format.md against the golden vault that it is about. A line has a place, then bytes in hex or words in
 * brackets, then what they mean; `…` leaves bytes out. */
const root = join(import.meta.dirname, '..', '..')
const listings = async (): Promise<{ name: string; bytes: Buffer; lengthBytes: number; lines: string[] }[]> => {
  const text = await readFile(join(root, 'docs/format.md'), 'utf8')
  const block = /## 11\.[\s\S]*?```text\n([\s\S]*?)```/.exec(text)?.[1] ?? ''
  return Promise.all(
    block.split('\n\n').map(async (part) => {
      const [title = '', ...lines] = part.trimEnd().split('\n')
      const [, name = '', length] = /^(\S+) \((\d+) bytes\)$/.exec(title) ?? []
      const bytes = await readFile(join(root, 'test/golden/vectors/v1/raw/vault', name))
      return { name, bytes, lengthBytes: Number(length), lines }
    }),
  )
}

describe('the worked example of the format', () => {
  it('shows the bytes of the golden vault, all of them', async () => {
    const found = await listings()
    expect(found.map(({ name }) => name)).toEqual(['segments/r2/os/000000.0001-00000', 'slices/r2/os/000000'])
    for (const { name, bytes, lengthBytes, lines } of found) {
      expect(lengthBytes).toBe(bytes.length)
      const places = lines.map((line) => Number(line.slice(0, 4)))
      expect(places[0]).toBe(0)
      for (const [index, line] of lines.entries()) {
        const shown = line.slice(6, 68).trim()
        if (shown.startsWith('(')) continue
        const [head = '', tail] = shown.split(' … ')
        const field = bytes.subarray(places[index], places[index + 1] ?? bytes.length).toString('hex')
        const hex = (part: string): string => part.replaceAll(' ', '')
        if (tail === undefined) expect(hex(head), `${name} at ${line}`).toBe(field)
        else {
          expect(field.startsWith(hex(head)), `${name} at ${line}`).toBe(true)
          expect(field.endsWith(hex(tail)), `${name} at ${line}`).toBe(true)
          expect(field.length).toBeGreaterThan(hex(head + tail).length)
        }
      }
    }
  })

  it('is what the words below it say of it', async () => {
    const vault = (name: string): Promise<Buffer> => readFile(join(root, 'test/golden/vectors/v1/raw/vault', name))
    const name = 'layers/r2/os'
    const layer = await vault(name)
    const footerBytes = footerLengthOf(layer, { name, place: 0 })
    const place = layer.length - footerBytes
    const footer = openIndexFooter(layer.subarray(place), { name, place }, layer.length)
    const slices = await Promise.all(['000000', '000001'].map((slice) => vault(`slices/r2/os/${slice}`)))
    const shards = slices.map((slice) =>
      slice.subarray(0, slice.length - footerLengthOf(slice, { name: 'slice', place: 0 })),
    )
    expect(layer.subarray(0, place).equals(Buffer.concat(shards))).toBe(true)
    expect(footer.shards).toBe(2)
    const fence = footer.fence(0)
    expect([fence.firstBytes, fence.endBytes]).toEqual([8 * 512, 204 * 512])
    const shard = openShard(layer.subarray(fence.placeBytes, fence.lengthBytes), { name, place: fence.placeBytes })
    const runs = [...shard.placedRuns()]
    const holds = (sector: number) =>
      runs.findIndex(
        ({ offsetBytes, lengthBytes }) => offsetBytes <= sector * 512 && sector * 512 < offsetBytes + lengthBytes,
      )
    expect([holds(203), holds(20), holds(0)]).toEqual([2, 1, -1])
    expect(runs[1]?.frame).toBeNull()
    const run = runs[2] ?? expect.unreachable()
    expect([run.frame?.birth.ordinal, run.framePosition]).toEqual([0, 8 * 512])
    const frame = run.frame ?? expect.unreachable()
    const segment = await vault(frame.segment)
    const plain = openFrame(segment.subarray(frame.placeBytes, frame.placeBytes + frame.storedBytes), frame, noKeys)
    const golden = await loadGoldenVault(join(root, 'test/golden/vectors/v1/raw'))
    const point = await readRecoveryPoint(golden.vault, { vmKey, recoveryPointId: 'r2' })
    const disk = await restoreDisk(golden.vault, point?.recoveryPoint ?? expect.unreachable(), 'os', mib)
    expect(
      Buffer.from(plain)
        .subarray(4096, 4608)
        .equals(disk.subarray(203 * 512, 204 * 512)),
    ).toBe(true)
  })
})
