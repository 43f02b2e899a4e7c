/**
 * A disk source for measurements: answers what the data plane of managed disks answers (Get Blob with a range, Get Blob Properties, Get Page
 * Ranges with and without a base, Put Page), and costs little. Started by `bench/support/processes.ts`.
 * Arguments: certificate and key files for TLS, or none.
 */
import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomBytesOf } from '../local/fleet/sample-bytes.ts'
import { type DiskSpec, specOf } from './support/disk-spec.ts'
import { type LeanAnswer, type LeanExchange, type LeanRequest, startLeanServer } from './support/lean-http.ts'
import { rowsOf } from './support/work-bytes.ts'

const footerBytes = 512
const pageBytes = 4096
const pieceBytes = 1024 * 1024
const listMax = 10_000

const files = new Map<string, number>()
const specs = new Map<string, DiskSpec>()
const lists = new Map<string, readonly (readonly [number, number])[]>()
const pool: Buffer[] = []

const handler = (request: LeanRequest): LeanExchange => {
  const spec = knownSpec(request.target)
  if (request.method === 'PUT') return putPage(request, spec)
  return {
    async answer(to) {
      const latencyMs = spec.kind === 'file' ? spec.latencyMs : 0
      if (latencyMs > 0) await sleep(latencyMs)
      if (request.method === 'HEAD') return to.send(200, { 'content-length': spec.sizeBytes + footerBytes })
      if (request.target.includes('&comp=pagelist')) return listRanges(request, spec, to)
      return getRange(request, spec, to)
    },
  }
}

const getRange = async (request: LeanRequest, spec: DiskSpec, to: LeanAnswer): Promise<void> => {
  const { start, end } = rangeOf(request)
  const head = {
    'content-length': end - start,
    'content-range': `bytes ${start}-${end - 1}/${spec.sizeBytes + footerBytes}`,
    'x-ms-blob-type': 'PageBlob',
  }
  const buffer = pool.pop() ?? Buffer.allocUnsafeSlow(pieceBytes)
  const first = Math.min(pieceBytes, end - start)
  fill(spec, buffer, start, first)
  if (first === end - start && first <= 64 * 1024) {
    to.send(206, head, buffer.subarray(0, first))
  } else {
    to.send(206, head)
    await to.write(buffer.subarray(0, first))
    for (let at = start + first; at < end; at += pieceBytes) {
      const length = Math.min(pieceBytes, end - at)
      fill(spec, buffer, at, length)
      await to.write(buffer.subarray(0, length))
    }
  }
  pool.push(buffer)
}

const listRanges = (request: LeanRequest, spec: DiskSpec, to: LeanAnswer): void => {
  const isDiff = request.headers.has('x-ms-previous-snapshot-url')
  const from = Number(/[?&]marker=(\d+)/.exec(request.target)?.[1] ?? 0)
  const { start, end } = rangeOf(request)
  const [ranges, count] = rangesFrom(spec, isDiff, from)
  const inside = ranges.filter(([offset, length]) => offset + length > start && offset < end)
  const next = from + ranges.length < count ? `<NextMarker>${from + ranges.length}</NextMarker>` : '<NextMarker/>'
  const items = inside.map(
    ([offset, length]) => `<PageRange><Start>${offset}</Start><End>${offset + length - 1}</End></PageRange>`,
  )
  const body = `<?xml version="1.0" encoding="utf-8"?><PageList>${items.join('')}${next}</PageList>`
  to.send(200, { 'content-type': 'application/xml' }, Buffer.from(body))
}

const rangesFrom = (spec: DiskSpec, isDiff: boolean, from: number): [(readonly [number, number])[], number] => {
  if (spec.kind === 'file') {
    const all = listOf((isDiff ? spec.changedPath : spec.allocatedPath) ?? '')
    return [all.slice(from, from + listMax), all.length]
  }
  const count = spec.clusters * spec.rangesPerCluster
  const ranges = Array.from({ length: Math.min(listMax, count - from) }, (_, index) => patternRange(spec, from + index))
  return [ranges, count]
}

const patternRange = (spec: DiskSpec & { kind: 'pattern' }, index: number): readonly [number, number] => {
  const spacing = Math.floor(spec.sizeBytes / Math.max(1, spec.clusters) / pageBytes)
  const clusterPages = Math.ceil(((spec.rangesPerCluster - 1) * spec.strideBytes + spec.rangeBytes) / pageBytes)
  const cluster = Math.floor(index / spec.rangesPerCluster)
  const within = scatter(cluster) % Math.max(1, spacing - clusterPages)
  const start = (cluster * spacing + within) * pageBytes
  return [start + (index % spec.rangesPerCluster) * spec.strideBytes, spec.rangeBytes]
}

/** A number that looks like chance and follows from another (the finalizer of MurmurHash3). */
const scatter = (number: number): number => {
  let mixed = Math.imul(number ^ (number >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

const putPage = (request: LeanRequest, spec: DiskSpec): LeanExchange => {
  let at = rangeOf(request).start
  return {
    piece(bytes) {
      // The footer behind the disk is not kept.
      if (spec.kind === 'file' && at < spec.sizeBytes) writeSync(fileOf(spec.path), bytes, 0, bytes.length, at)
      at += bytes.length
    },
    answer: (to) => to.send(201, { etag: '"0x1"' }),
  }
}

const rangeOf = (request: LeanRequest): { readonly start: number; readonly end: number } => {
  const text = request.headers.get('x-ms-range') ?? request.headers.get('range') ?? ''
  const [, start = 0, end = 0] = /^bytes=(\d+)-(\d+)$/.exec(text) ?? []
  return { start: Number(start), end: Number(end) + 1 }
}

const fill = (spec: DiskSpec, target: Buffer, offset: number, length: number): void => {
  if (spec.kind === 'file') {
    const read = readSync(fileOf(spec.path), target, 0, length, offset)
    if (read < length) target.fill(0, read, length)
    return
  }
  if (spec.content === 'noise') {
    for (let at = 0; at < length; at += pageBytes)
      randomBytesOf(String(offset + at), Math.min(pageBytes, length - at)).copy(target, at)
    return
  }
  for (let at = 0; at < length; ) {
    const from = (offset + at) % text.length
    at += text.copy(target, at, from, Math.min(text.length, from + length - at))
  }
}

const text = rowsOf('source', 4 * pieceBytes)

const fileOf = (path: string): number => {
  const known = files.get(path)
  if (known !== undefined) return known
  const opened = openSync(path, 'r+')
  files.set(path, opened)
  return opened
}

const listOf = (path: string): readonly (readonly [number, number])[] => {
  const known = lists.get(path) ?? (JSON.parse(readFileSync(path, 'utf8')) as (readonly [number, number])[])
  lists.set(path, known)
  return known
}

const knownSpec = (target: string): DiskSpec => {
  const path = target.slice(0, target.indexOf('?'))
  const known = specs.get(path) ?? specOf(target)
  specs.set(path, known)
  return known
}

/** Files are made anew between measurements. */
const forget = (): void => {
  for (const file of files.values()) closeSync(file)
  files.clear()
  lists.clear()
}

const [certificatePath, keyPath] = process.argv.slice(2)
const identity = certificatePath && keyPath ? { certificatePath, keyPath } : null
const port = await startLeanServer(handler, identity)
process.on('message', (message) => {
  if (message === 'forget') forget()
  process.send?.('done')
})
process.once('disconnect', () => process.exit())
process.send?.({ origin: `${identity ? 'https' : 'http'}://127.0.0.1:${port}` })
