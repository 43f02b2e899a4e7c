import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Contestant, imageOf, type Operation, type Sample } from './contestant.ts'
import { diskUrl } from './disk-spec.ts'
import type { EngineOrder, EngineResult } from './engine-order.ts'
import { cpuSecondsOf, type Server } from './processes.ts'
import { runEngine } from './run-engine.ts'
import type { Storage, TlsFiles } from './storage.ts'
import type { WorkImage, WorkImages } from './work-images.ts'

export interface OurParts {
  readonly name: string
  readonly folder: string
  readonly images: WorkImages
  readonly source: Server
  readonly storage: Storage
  readonly operations: readonly Operation[]
  /** Source and storage are reached over TLS. */
  readonly tls?: TlsFiles
}

/** Our engine on one store. */
export interface Ours extends Contestant {
  /** Any backup of the VM from any image. */
  backUp(order: OurBackup): Promise<{ readonly sample: Sample; readonly result: EngineResult }>
}

export interface OurBackup {
  readonly vm: string
  /** Null, the default: of no image that others come from, too. */
  readonly imageReference?: string | null
  readonly image: WorkImage
  /** Name of the source, one for each backup. */
  readonly source: string
  /** See `EngineOrder`; a name of its own, for the same image. */
  readonly sourceBefore?: string
  readonly latencyMs?: number
}

const lateMs = 10

export const ourContestant = async (parts: OurParts): Promise<Ours> => {
  const { folder, images, source, storage } = parts
  const restoredPath = join(folder, 'restored.img')
  const sources: Record<string, Record<string, string>> = {}
  const recoveryPoints: Partial<Record<Operation, string>> = {}
  await mkdir(folder, { recursive: true })

  const measured = async (order: EngineOrder): Promise<{ sample: Sample; result: EngineResult }> => {
    await source.ask('forget')
    const others = () => cpuSecondsOf(source.pid) + storage.cpuSeconds()
    const before = others()
    const tls = parts.tls === undefined ? {} : { certificatePath: parts.tls.certificatePath }
    const result = await runEngine({ connectionString: storage.connectionString, ...tls }, order)
    const sample = {
      wallSeconds: result.wallSeconds,
      clientCpuSeconds: result.jobCpuSeconds,
      allCpuSeconds: result.jobCpuSeconds + others() - before,
      peakRssBytes: result.peakRssBytes,
      storedBytes: result.report?.storedBytes ?? 0,
      stepSeconds: result.stepSeconds,
    }
    return { sample, result }
  }

  const backUp = async ({ vm, imageReference = null, image, source: name, latencyMs = 0, ...before }: OurBackup) => {
    const { path, sizeBytes, allocatedPath, changedPath } = image
    const url = diskUrl(source.origin, { kind: 'file', path, sizeBytes, allocatedPath, changedPath, latencyMs })
    const { sourceBefore } = before
    sources[vm] = { ...sources[vm], [name]: url, ...(sourceBefore === undefined ? {} : { [sourceBefore]: url }) }
    const order = { vm, imageReference, sizeBytes, source: name, ...before, sources: sources[vm] }
    return measured({ kind: 'backup', ...order })
  }

  const restore = async (): Promise<Sample> => {
    const { sizeBytes } = images.dayA
    await using file = await open(restoredPath, 'w')
    await file.truncate(sizeBytes)
    const nothing = { allocatedPath: '', changedPath: null, latencyMs: 0 }
    const targetUrl = diskUrl(source.origin, { kind: 'file', path: restoredPath, sizeBytes, ...nothing })
    const recoveryPointId = recoveryPoints.dayA ?? null
    return (await measured({ kind: 'restore', vm: 'measured', recoveryPointId, targetUrl })).sample
  }

  return {
    name: parts.name,
    operations: parts.operations,
    storeFolder: folder,
    restoredPath,
    backUp,
    async run(operation) {
      if (operation === 'restore') return restore()
      const isOfImage = operation === 'original' || operation === 'clone'
      const vm = isOfImage ? operation : 'measured'
      const imageReference = isOfImage ? 'bench:image:1' : null
      const latencyMs = operation === 'late' ? lateMs : 0
      const image = imageOf(images, operation)
      const before = operation === 'again' ? { sourceBefore: 'before' } : {}
      const { sample, result } = await backUp({ vm, imageReference, image, source: operation, latencyMs, ...before })
      recoveryPoints[operation] = result.recoveryPointId
      return sample
    },
    [Symbol.asyncDispose]: async () => {
      await storage[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
