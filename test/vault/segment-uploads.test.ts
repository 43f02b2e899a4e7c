import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Run } from '../../shared/format/shard-builder.ts'
import { createSegmentWriter } from '../../shared/vault/segment-writer.ts'
import { createMemoryBlobStore, SimulatedCrash } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { mib } from '../support/vault-world.ts'

const key = { recoveryPointId: 'r1', disk: 'os', slice: 0 }
const frame = seededRandom(3).bytes(mib)

/** A writer whose segments hold one frame, on a store that answers when it is told to. */
const heldWriter = () => {
  const vault = createMemoryBlobStore()
  const underWay: { readonly name: string; readonly answer: () => void }[] = []
  vault.pause = ({ name }) => new Promise((answer) => underWay.push({ name, answer }))
  const limits = { segmentBytes: mib + 16 * 1024, segmentsAtOnceMax: 2, compression: 'none', options: {} } as const
  const writer = createSegmentWriter({ vault }, { key, attempt: 1, cipher: null }, limits)
  let taken = 0
  const append = async (): Promise<void> => {
    const run: Run = { offsetBytes: taken * mib, lengthBytes: mib, isZero: false }
    await writer.append([run], frame)
    taken += 1
  }
  const settled = async () => {
    for (let turn = 0; turn < 5; turn += 1) await setImmediate()
  }
  return { vault, writer, underWay, append, settled, taken: () => taken }
}

describe('the uploads of a slice', () => {
  it('begin when a segment is full, and the next frame waits only while all memory is in uploads', async () => {
    const { writer, underWay, append, settled, taken } = heldWriter()
    const all = (async () => {
      for (let count = 0; count < 4; count += 1) await append()
      await writer.finish()
    })()
    await settled()
    expect(taken()).toBe(2)
    expect(underWay.map(({ name }) => name.slice(-5))).toEqual(['00000', '00001'])
    underWay[1]?.answer()
    await settled()
    expect(taken()).toBe(3)
    expect(underWay).toHaveLength(3)
    for (let at = 0; at < 4; at += 1) {
      underWay[at]?.answer()
      await settled()
    }
    await all
    expect(writer.ranges).toEqual([{ ...key, attempt: 1, firstN: 0, lastN: 3 }])
  })

  it('end the slice with the first that fails', async () => {
    const { vault, writer, underWay, append, settled } = heldWriter()
    vault.fault = ({ name }) => (name.endsWith('00001') ? 'crashBefore' : null)
    const all = (async () => {
      for (let count = 0; count < 3; count += 1) await append()
    })()
    await settled()
    underWay[1]?.answer()
    await expect(all).rejects.toThrow(SimulatedCrash)
    underWay[0]?.answer()
    await writer.settle()
  })
})
