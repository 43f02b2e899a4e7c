import { join } from 'node:path'
import { type Cost, costOfDays, type PatternSpec } from './order-runner.ts'
import { type Server, startServer } from './processes.ts'
import { boundRow, type Row } from './row.ts'
import { sinkStorage } from './storage.ts'

const gibibyte = 2 ** 30
const tebibyte = 2 ** 40
const pageBytes = 4096
const scatteredPages = 10_000

const pages = (sizeBytes: number, count: number, content: PatternSpec['content'] = 'noise'): PatternSpec => ({
  kind: 'pattern',
  sizeBytes,
  clusters: count,
  rangesPerCluster: 1,
  rangeBytes: pageBytes,
  strideBytes: pageBytes,
  content,
})

/** What an increment costs, on a small disk and on the largest there is; everything is sparse, so neither takes room. */
export const structuralRows = async (folder: string, source: Server): Promise<readonly Row[]> => {
  await using sink = await sinkStorage(join(folder, 'structural'))
  const [small, nothing] = await costOfDays({ source, sink }, pages(32 * gibibyte, 64), [
    pages(32 * gibibyte, scatteredPages),
    pages(32 * gibibyte, 0),
  ])
  const [large, largeNothing] = await costOfDays({ source, sink }, pages(32 * tebibyte, 64), [
    pages(32 * tebibyte, scatteredPages),
    pages(32 * tebibyte, 0),
  ])
  if (small === undefined || large === undefined || nothing === undefined || largeNothing === undefined) return []
  const changedBytes = scatteredPages * pageBytes
  return [
    boundRow({
      goal: 'stored per byte changed, any data, before compression',
      value: vaultBytes(small) / changedBytes,
      atMost: 1.01,
      digits: 4,
      note: `${scatteredPages} random pages of noise; everything that was added to the vault`,
    }),
    boundRow({
      goal: 'index of an increment, 32 TiB over 32 GiB',
      value: indexBytes(large) / indexBytes(small),
      atMost: 1.05,
      digits: 3,
      note: `${indexBytes(large)} over ${indexBytes(small)} bytes`,
    }),
    boundRow({
      goal: 'storage calls of an increment, 32 TiB over 32 GiB',
      value: large.calls / small.calls,
      atMost: 1.05,
      digits: 3,
      note: `${large.calls} over ${small.calls} calls`,
    }),
    boundRow({
      goal: 'no-change backup of a 32 TiB disk: storage calls besides the listing',
      value: largeNothing.calls,
      atMost: 19,
      digits: 0,
      note: `the whole job: ${kindsOf(largeNothing)}`,
    }),
  ]
}

const sumOf = (bytes: Readonly<Record<string, number>>, isCounted: (kind: string) => boolean): number =>
  Object.entries(bytes).reduce((sum, [kind, count]) => sum + (isCounted(kind) ? count : 0), 0)

const vaultBytes = ({ addedBytes }: Cost): number => sumOf(addedBytes, (kind) => kind.startsWith('vault/'))

const indexBytes = ({ addedBytes }: Cost): number =>
  sumOf(addedBytes, (kind) => kind === 'vault/slices' || kind === 'vault/layers')

const kindsOf = ({ callsByKind }: Cost): string =>
  Object.entries(callsByKind)
    .map(([kind, count]) => `${kind} ${count}`)
    .sort()
    .join(', ')

/** Memory of an increment with more ranges than fit into one list, on the largest disk: 2.6 million of one sector, a page apart, in a thousand
 * places. Read over TLS. */
export const manyRangesSpec: PatternSpec = {
  kind: 'pattern',
  sizeBytes: 32 * tebibyte,
  clusters: 1000,
  rangesPerCluster: 2600,
  rangeBytes: 512,
  strideBytes: pageBytes,
  content: 'text',
}

/** A server for what is read over TLS. */
export const startTlsSource = (tls: { readonly certificatePath: string; readonly keyPath: string }): Promise<Server> =>
  startServer('source-server.ts', [tls.certificatePath, tls.keyPath])
