import type { CommittedDisk, LayerReference } from '../../shared/domain/recovery-point.ts'
import { digestHex } from '../../shared/format/digest.ts'
import { encodeIndexFooter, type FenceKey, footerTailBytes } from '../../shared/format/index-footer.ts'
import { layerIdOf, layerName } from '../../shared/format/names.ts'
import { joinSegmentRanges, type SegmentRange, segmentNamesOf } from '../../shared/format/segment-ranges.ts'
import { createShardBuilder } from '../../shared/format/shard-builder.ts'
import { parseVaultName } from '../../shared/format/vault-name.ts'
import { layerRuns } from '../../shared/vault/layer-reader.ts'
import { mergeLayers } from '../../shared/vault/merge-layers.ts'
import { openStack } from '../../shared/vault/stack.ts'
import type { MemoryBlobStore } from './memory-blob-store.ts'

/** Folds the whole stack of a disk into one layer, the plainest way that docs/format.md, section 6, allows: one shard, no zero runs, frames
 * where they are. */
export const foldStack = async (vault: MemoryBlobStore, disk: CommittedDisk): Promise<LayerReference> => {
  const key = {
    recoveryPointId: `fold-${digestHex(Buffer.from(disk.stack.map(({ digest }) => digest).join())).slice(0, 20)}`,
    disk: disk.disk,
  }
  const stack = await openStack(vault, disk)
  const window = { offsetBytes: 0, lengthBytes: disk.sizeBytes }
  const builder = createShardBuilder()
  const ranges: SegmentRange[] = []
  let dataBytes = 0
  for await (const run of mergeLayers(
    stack.layers.map((layer) => layerRuns(vault, layer, window, {})),
    window,
  )) {
    if (run.frame === null) continue
    const named = parseVaultName(run.frame.segment)
    if (named.kind !== 'segment') throw new Error(`${run.frame.segment} is no segment`)
    const { id, n, ...of } = named
    ranges.push({ recoveryPointId: id, disk: of.disk, slice: of.slice, attempt: of.attempt, firstN: n, lastN: n })
    builder.addPlaced(run)
    dataBytes += run.lengthBytes
  }
  const shard = builder.finish()
  if (shard === null) throw new Error('the golden stack has data')
  const { bytes, firstBytes, endBytes, frames, runs } = shard
  const digest = Buffer.from(digestHex(bytes), 'hex')
  const fence: FenceKey = { firstBytes, endBytes, placeBytes: 0, lengthBytes: bytes.length, frames, digest }
  const segmentRanges = joinSegmentRanges(ranges)
  const segmentBytes = [...segmentNamesOf(segmentRanges)].reduce((sum, name) => sum + lengthOf(vault, name), 0)
  const nothing = { changedBytes: 0, readBytes: 0, joinedBytes: 0, readCalls: 0, milliseconds: 0, zeroBytes: 0 }
  const counted = { dataBytes, segmentBytes, frames, runs }
  const of = { kind: 'layer' as const, slice: 0, attempt: 0, frameCapacityBytes: 8192, diskBytes: disk.sizeBytes }
  const footer = encodeIndexFooter({ ...of, ...key, ...nothing, ...counted, segmentRanges }, [fence])
  const layerId = layerIdOf(key)
  await vault.create(layerName(layerId), [bytes, footer])
  return {
    layerId,
    lengthBytes: bytes.length + footer.length,
    footerBytes: footer.length,
    digest: digestHex(footer.subarray(0, footer.length - footerTailBytes)),
  }
}

const lengthOf = (vault: MemoryBlobStore, name: string): number => vault.objects.get(name)?.bytes.length ?? 0
