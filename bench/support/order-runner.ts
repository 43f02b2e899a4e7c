import { type DiskSpec, diskUrl } from './disk-spec.ts'
import type { EngineResult } from './engine-order.ts'
import type { Server } from './processes.ts'
import { runEngine } from './run-engine.ts'
import type { Sink, TlsFiles } from './storage.ts'

export type PatternSpec = DiskSpec & { readonly kind: 'pattern' }

/** What a backup cost in a sink. */
export interface Cost {
  readonly result: EngineResult
  readonly calls: number
  readonly callsByKind: Readonly<Record<string, number>>
  /** What was added, by container and kind. */
  readonly addedBytes: Readonly<Record<string, number>>
}

/** Backs up a made-up disk of any size: first what `base` names, then what each of `days` does. @returns the cost of each of the days */
export const costOfDays = async (
  parts: { readonly source: Server; readonly sink: Sink; readonly tls?: TlsFiles },
  base: PatternSpec,
  days: readonly PatternSpec[],
): Promise<readonly Cost[]> => {
  const { source, sink, tls } = parts
  const settings = {
    connectionString: sink.connectionString,
    ...(tls === undefined ? {} : { certificatePath: tls.certificatePath }),
  }
  const vm = `pattern-${base.sizeBytes}`
  const sources: Record<string, string> = {}
  const costs: Cost[] = []
  let keptBefore = (await sink.take()).storedBytes
  for (const [index, spec] of [base, ...days].entries()) {
    sources[`day-${index}`] = diskUrl(source.origin, spec)
    const order = { vm, imageReference: null, sizeBytes: spec.sizeBytes, source: `day-${index}`, sources }
    const result = await runEngine(settings, { kind: 'backup', ...order })
    const { calls, storedBytes } = await sink.take()
    const added = Object.entries(storedBytes).map(([kind, bytes]) => [kind, bytes - (keptBefore[kind] ?? 0)] as const)
    keptBefore = storedBytes
    const sum = Object.values(calls).reduce((total, count) => total + count, 0)
    costs.push({ result, calls: sum, callsByKind: calls, addedBytes: Object.fromEntries(added) })
  }
  return costs.slice(1)
}
