import type { Extent } from '../domain/extent.ts'
import type { SidecarReference } from '../domain/recovery-point.ts'
import type { FramePlace } from '../format/frame.ts'
import type { Shard } from '../format/shard.ts'
import { groupDiskBytes } from '../format/sidecar.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { type Layer, openLayerShard, readShard } from './layer-reader.ts'
import type { SegmentDirectories } from './segment-directories.ts'
import { openSidecar, readSidecarGroup } from './sidecar-reader.ts'

/** A part of a layer that cannot be read, and the part of the disk that needs it. */
export interface DamagedShard {
  readonly error: VaultError
  readonly range: Extent
}

/** Reads and proves one shard after another, and that each frame is what the directory of its segment says.
 * @param from number of the first shard
 * @param goOn asked behind each shard
 * @param onSegment told of segments that do not hold what the layer says
 * @returns the number of the shard that comes next; null where all were checked */
export const checkShards = async (
  reader: BlobReader,
  layer: Layer,
  of: { readonly from: number; readonly directories: SegmentDirectories },
  on: {
    readonly goOn: () => boolean
    readonly onShard: (damaged: DamagedShard) => void
    readonly onSegment: (name: string) => void
  },
  options: CallOptions,
): Promise<number | null> => {
  for (let index = of.from; index < layer.footer.shards; index += 1) {
    if (index > of.from && !on.goOn()) return index
    const fence = layer.footer.fence(index)
    try {
      const bytes = await readShard(reader, layer, fence, options)
      const frames = framesOfShard(openLayerShard(bytes, fence, layer))
      await checkDirectories(frames, of.directories, on.onSegment)
    } catch (error) {
      if (!(error instanceof VaultError)) throw error
      const range = { offsetBytes: fence.firstBytes, lengthBytes: fence.endBytes - fence.firstBytes }
      on.onShard({ error, range })
    }
  }
  return null
}

const framesOfShard = (shard: Shard): ReadonlySet<FramePlace> => {
  const frames = new Set<FramePlace>()
  for (const { frame } of shard.placedRuns()) if (frame !== null) frames.add(frame)
  return frames
}

const checkDirectories = async (
  frames: ReadonlySet<FramePlace>,
  directories: SegmentDirectories,
  onSegment: (name: string) => void,
): Promise<void> => {
  for (const frame of frames)
    try {
      await directories.check(frame)
    } catch (error) {
      if (!(error instanceof VaultError)) throw error
      onSegment(frame.segment)
    }
}

/** Every group of a sidecar. @throws VaultError the first thing that is wrong */
export const checkSidecar = async (
  reader: BlobReader,
  { reference, sizeBytes }: { readonly reference: SidecarReference; readonly sizeBytes: number },
  options: CallOptions,
): Promise<void> => {
  const { name, footer } = await openSidecar(reader, reference, options)
  for (let number = 0; number * groupDiskBytes < sizeBytes; number += 1) {
    const entry = footer.find(number)
    if (entry !== null) await readSidecarGroup(reader, name, entry, options)
  }
}
