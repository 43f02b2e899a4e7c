import { startAzurite } from '../../local/azurite.ts'
import { cpuSecondsOf, startServer } from './processes.ts'
import type { SinkCounts } from './sink-counts.ts'

/** Object storage in a process of its own. */
export interface Storage extends AsyncDisposable {
  readonly connectionString: string
  readonly cpuSeconds: () => number
}

export interface Sink extends Storage {
  /** What was served since the last call, and what is kept by container and kind. */
  readonly take: () => Promise<SinkCounts & { readonly storedBytes: Readonly<Record<string, number>> }>
}

/** Files of a certificate and its key. */
export interface TlsFiles {
  readonly certificatePath: string
  readonly keyPath: string
}

export const azuriteStorage = async (folder: string): Promise<Storage> => {
  const azurite = await startAzurite({ folder })
  return {
    connectionString: azurite.connectionString,
    cpuSeconds: () => cpuSecondsOf(azurite.pid),
    [Symbol.asyncDispose]: () => azurite.stop(),
  }
}

/** Any key will do: the sink does not look at signatures. */
const sinkKey = Buffer.from('bench').toString('base64')

export const sinkStorage = async (folder: string, tls: TlsFiles | null = null): Promise<Sink> => {
  const args = tls === null ? [folder] : [folder, tls.certificatePath, tls.keyPath]
  const server = await startServer('sink-server.ts', args)
  const protocol = new URL(server.origin).protocol.slice(0, -1)
  const account = `AccountName=bench;AccountKey=${sinkKey}`
  return {
    connectionString: `DefaultEndpointsProtocol=${protocol};${account};BlobEndpoint=${server.origin}/bench;`,
    cpuSeconds: () => cpuSecondsOf(server.pid),
    take: async () =>
      (await server.ask('reset')) as SinkCounts & { readonly storedBytes: Readonly<Record<string, number>> },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}
