/**
 * Object storage for measurements that does nothing but keep files: the part of the Blob REST API that the app uses, one file an object,
 * forced to disk before it is acknowledged if it is larger than 64 KiB. Counts calls and bytes by kind. Started by
 * `bench/support/processes.ts`. Arguments: folder, then certificate and key files for TLS, or none.
 */
import {
  closeSync,
  copyFileSync,
  fdatasync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type LeanAnswer, type LeanExchange, type LeanRequest, startLeanServer } from './support/lean-http.ts'
import type { SinkCounts } from './support/sink-counts.ts'

interface Kept {
  readonly path: string
  readonly bytes: number
  readonly etag: string
}

const [folder = '', certificatePath, keyPath] = process.argv.slice(2)
const force = promisify(fdatasync)
const forcedBytesMin = 64 * 1024
const pieceBytes = 1024 * 1024
const objects = new Map<string, Kept>()
let counts: SinkCounts = { calls: {}, bytesIn: 0, bytesOut: 0 }
let made = 0

const handler = (request: LeanRequest): LeanExchange => {
  const { pathname, searchParams } = new URL(request.target, 'http://sink')
  const name = decodeURIComponent(pathname.split('/').slice(2).join('/'))
  const comp = searchParams.get('comp')
  count(
    `${kindOf(comp === 'list' ? `${name}/${searchParams.get('prefix')}` : name)}: ${request.method}${comp === null ? '' : ` ${comp}`}`,
  )
  if (request.method === 'PUT') return put(request, name, searchParams)
  return {
    answer: (to) => {
      if (comp === 'list') return list(name, searchParams.get('prefix') ?? '', to)
      if (request.method === 'DELETE') return remove(name, to)
      return get(request, name, to)
    },
  }
}

const put = (request: LeanRequest, name: string, query: URLSearchParams): LeanExchange => {
  if (query.get('restype') === 'container') return { answer: (to) => to.send(201, {}) }
  const comp = query.get('comp')
  made += 1
  const path = join(folder, String(made))
  const file = openSync(path, 'w')
  const gathered = Buffer.allocUnsafe(Math.min(pieceBytes, Math.max(1, request.bodyBytes)))
  let filled = 0
  const flush = () => {
    writeSync(file, gathered, 0, filled)
    filled = 0
  }
  return {
    piece(bytes) {
      counts = { ...counts, bytesIn: counts.bytesIn + bytes.length }
      for (let at = 0; at < bytes.length; ) {
        const taken = bytes.copy(gathered, filled, at)
        at += taken
        filled += taken
        if (filled === gathered.length) flush()
      }
    },
    async answer(to) {
      flush()
      if (request.bodyBytes > forcedBytesMin) await force(file)
      closeSync(file)
      if (comp === 'block') {
        objects.set(`${name}?${query.get('blockid')}`, keptOf(path, request.bodyBytes))
        return to.send(201, {})
      }
      const kept = comp === 'blocklist' ? joined(name, path) : keptOf(path, request.bodyBytes)
      const before = objects.get(name)
      const isRefused =
        (request.headers.get('if-none-match') === '*' && before !== undefined) ||
        (request.headers.has('if-match') && request.headers.get('if-match') !== before?.etag)
      if (isRefused) return refuse(to, request.headers.has('if-match') ? 412 : 409)
      objects.set(name, kept)
      to.send(201, { etag: kept.etag, 'last-modified': new Date().toUTCString() })
    },
  }
}

const keptOf = (path: string, bytes: number): Kept => ({ path, bytes, etag: `"0x${made.toString(16)}"` })

/** Puts the blocks of a block list together. */
const joined = (name: string, listPath: string): Kept => {
  const ids = [...readFileSync(listPath, 'utf8').matchAll(/<(?:Latest|Uncommitted)>([^<]+)</g)].map(([, id]) => id)
  const blocks = ids.map((id) => objects.get(`${name}?${id}`)).filter((block) => block !== undefined)
  const [first, ...others] = blocks
  const path = `${listPath}.joined`
  if (first !== undefined) renameSync(first.path, path)
  else copyFileSync(listPath, path)
  const file = openSync(path, 'a')
  for (const block of others) writeSync(file, readFileSync(block.path))
  closeSync(file)
  for (const id of ids) objects.delete(`${name}?${id}`)
  return keptOf(
    path,
    blocks.reduce((sum, { bytes }) => sum + bytes, 0),
  )
}

const get = async (request: LeanRequest, name: string, to: LeanAnswer): Promise<void> => {
  const kept = objects.get(name)
  if (kept === undefined) return refuse(to, 404, request.method)
  const wanted = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get('x-ms-range') ?? request.headers.get('range') ?? '')
  const start = Number(wanted?.[1] ?? 0)
  const end = Math.min(kept.bytes, wanted?.[2] ? Number(wanted[2]) + 1 : kept.bytes)
  const head = { 'content-length': end - start, etag: kept.etag, 'x-ms-blob-type': 'BlockBlob' }
  const part = { 'content-range': `bytes ${start}-${end - 1}/${kept.bytes}` }
  const dated = { 'last-modified': new Date().toUTCString(), 'content-type': 'application/octet-stream' }
  to.send(wanted === null ? 200 : 206, { ...head, ...dated, ...(wanted === null ? {} : part) })
  if (request.method === 'HEAD') return
  const file = openSync(kept.path, 'r')
  const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, Math.max(1, end - start)))
  for (let at = start; at < end; ) {
    const read = readSync(file, buffer, 0, Math.min(buffer.length, end - at), at)
    if (read === 0) break
    await to.write(buffer.subarray(0, read))
    at += read
  }
  closeSync(file)
  counts = { ...counts, bytesOut: counts.bytesOut + end - start }
}

const remove = (name: string, to: LeanAnswer): void => {
  const kept = objects.get(name)
  if (kept === undefined) {
    refuse(to, 404)
    return
  }
  objects.delete(name)
  rmSync(kept.path)
  to.send(202, {})
}

const list = (container: string, prefix: string, to: LeanAnswer): void => {
  const start = `${container}/${prefix}`
  const names = [...objects.keys()].filter((name) => name.startsWith(start) && !name.includes('?')).sort()
  const blobs = names.map((name) => {
    const { bytes, etag } = objects.get(name) ?? { bytes: 0, etag: '' }
    const length = `<Content-Length>${bytes}</Content-Length><BlobType>BlockBlob</BlobType>`
    const properties = `<Etag>${etag}</Etag><Last-Modified>${new Date().toUTCString()}</Last-Modified>${length}`
    return `<Blob><Name>${name.slice(container.length + 1)}</Name><Properties>${properties}</Properties></Blob>`
  })
  const body = `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="${container}"><Blobs>${blobs.join('')}</Blobs><NextMarker/></EnumerationResults>`
  to.send(200, { 'content-type': 'application/xml' }, Buffer.from(body))
}

const codes: Readonly<Record<number, string>> = {
  404: 'BlobNotFound',
  409: 'BlobAlreadyExists',
  412: 'ConditionNotMet',
}

const refuse = (to: LeanAnswer, status: number, method = 'GET'): void => {
  const code = codes[status] ?? 'InvalidInput'
  const body = Buffer.from(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`)
  const headers = { 'x-ms-error-code': code, 'content-type': 'application/xml' }
  if (method === 'HEAD') to.send(status, headers)
  else to.send(status, headers, body)
}

/** Container and first part of the name: `vault/segments`. */
const kindOf = (name: string): string => name.split('/').slice(0, 2).join('/')

const count = (kind: string): void => {
  counts = { ...counts, calls: { ...counts.calls, [kind]: (counts.calls[kind] ?? 0) + 1 } }
}

const storedBytes = (): Record<string, number> => {
  const byKind: Record<string, number> = {}
  for (const [name, { bytes }] of objects) {
    const kind = kindOf(name)
    byKind[kind] = (byKind[kind] ?? 0) + bytes
  }
  return byKind
}

mkdirSync(folder, { recursive: true })
const identity = certificatePath && keyPath ? { certificatePath, keyPath } : null
const port = await startLeanServer(handler, identity)
process.on('message', (message) => {
  process.send?.({ ...counts, storedBytes: storedBytes() })
  if (message === 'reset') counts = { calls: {}, bytesIn: 0, bytesOut: 0 }
})
process.once('disconnect', () => process.exit())
process.send?.({ origin: `${identity ? 'https' : 'http'}://127.0.0.1:${port}` })
