import type { Extent } from '../../../shared/domain/extent.ts'
import { type DiskReader, SourceError } from '../../../shared/ports/disk-reader.ts'
import type { DiskWriter } from '../../../shared/ports/disk-writer.ts'
import { changedPages } from './changed-pages.ts'
import { resourceOf } from './platform.ts'
import type { Watch } from './watch.ts'
import type { World } from './world.ts'

const rangesOfPage = 100

/** Reads a copy through its SAS URL, which must be live at each call. */
export const openReader = (world: World, watch: Watch, sasUrl: string, baseSasUrl: string | null): DiskReader => {
  const name = nameIn(sasUrl)
  const source = () => copyBehind(world, sasUrl)
  const base = () => (baseSasUrl === null ? null : copyBehind(world, baseSasUrl))
  const counters = { listCalls: 0, readCalls: 0, readBytes: 0 }
  return {
    counters,
    sizeBytes: () => watch({ port: 'disk', operation: 'sizeBytes', name }, () => source().length),
    async *listRanges(window: Extent | null) {
      const ranges = await watch({ port: 'disk', operation: 'listRanges', name }, () => changedPages(source(), base()))
      if (window !== null) throw new Error('No plan of this world lists a part of a disk.')
      for (let at = 0; at === 0 || at < ranges.length; at += rangesOfPage) {
        counters.listCalls += 1
        yield ranges.slice(at, at + rangesOfPage)
      }
    },
    readInto: async (target, offsetBytes) => {
      const read = { port: 'disk', operation: 'read', name: `${name}@${offsetBytes}` } as const
      await watch(read, () => void source().copy(target, 0, offsetBytes, offsetBytes + target.length))
      counters.readCalls += 1
      counters.readBytes += target.length
    },
    close: () => undefined,
  }
}

/** Writes an upload disk through its SAS URL, which must be live at each call. */
export const openWriter = (world: World, watch: Watch, sasUrl: string): DiskWriter => {
  const name = nameIn(sasUrl)
  const counters = { writeCalls: 0, writtenBytes: 0 }
  const target = () => {
    const id = resourceOf(world.platform, sasUrl)
    const found = id === null ? undefined : world.platform.targets.get(id)
    if (id === null || found === undefined || !found.isOpen) throw new SourceError({ code: 'access-ended' })
    return { id, found }
  }
  return {
    counters,
    write: async (offsetBytes, bytes) => {
      const written = { offsetBytes, bytes: Buffer.from(bytes) }
      await watch({ port: 'disk', operation: 'write', name: `${name}@${offsetBytes}` }, () => {
        const { id, found } = target()
        world.platform.targets.set(id, { ...found, writes: [...found.writes, written] })
      })
      counters.writeCalls += 1
      counters.writtenBytes += bytes.length
    },
    writeFooter: () =>
      watch({ port: 'disk', operation: 'writeFooter', name }, () => {
        const { id, found } = target()
        world.platform.targets.set(id, { ...found, hasFooter: true })
      }),
    close: () => undefined,
  }
}

const copyBehind = (world: World, sasUrl: string): Buffer => {
  const id = resourceOf(world.platform, sasUrl)
  if (id === null) throw new SourceError({ code: 'access-ended' })
  const bytes = world.platform.copies.get(id)
  if (bytes === undefined) throw new SourceError({ code: 'gone' })
  return bytes
}

const nameIn = (sasUrl: string): string => new URL(sasUrl).pathname
