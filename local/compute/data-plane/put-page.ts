import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type ByteRange, rangeOf } from './byte-range.ts'
import { answeredByConditions, blobBytes, type PlaneRequest } from './plane-request.ts'
import { ServiceError } from './service-error.ts'

const pageBytes = 512
/** Put Page: an update writes at most 4 MiB. */
const updateBytesMax = 4 * 2 ** 20

/** Put Page: writes or clears whole pages of 512 bytes of an upload, its footer included. */
export const putPage = async (plane: PlaneRequest): Promise<void> => {
  if (plane.content.access !== 'Write') throw new ServiceError('AuthorizationPermissionMismatch')
  const kind = pageWriteOf(plane.request)
  const range = alignedRange(plane, kind)
  const bytes = await readBody(plane.request)
  checkMd5(plane.request, bytes)
  if (await answeredByConditions(plane, false)) return
  if (kind === 'update') await plane.contents.write(plane.content, bytes, range.startBytes)
  else await plane.contents.clear(plane.content, range.startBytes, range.endBytes - range.startBytes)
  const after = await plane.contents.version(plane.content)
  plane.response.statusCode = 201
  plane.response.setHeader('etag', after.etag)
  plane.response.setHeader('last-modified', after.lastModified.toUTCString())
  plane.response.setHeader('x-ms-blob-sequence-number', '0')
  plane.response.setHeader('x-ms-request-server-encrypted', 'true')
  if (kind === 'update') plane.response.setHeader('content-md5', createHash('md5').update(bytes).digest('base64'))
  plane.response.setHeader('content-length', 0)
}

const pageWriteOf = (request: IncomingMessage): 'update' | 'clear' => {
  const kind = request.headers['x-ms-page-write']
  if (kind === undefined) throw new ServiceError('MissingRequiredHeader', { HeaderName: 'x-ms-page-write' })
  const word = String(kind).toLowerCase()
  if (word === 'update' || word === 'clear') return word
  throw new ServiceError('InvalidHeaderValue', { HeaderName: 'x-ms-page-write', HeaderValue: String(kind) })
}

const alignedRange = (plane: PlaneRequest, kind: 'update' | 'clear'): ByteRange => {
  const { headers } = plane.request
  const range = rangeOf(headers)
  if (range === null) throw new ServiceError('MissingRequiredHeader', { HeaderName: 'Range' })
  const isAligned = range.startBytes % pageBytes === 0 && range.endBytes % pageBytes === 0
  // Recorded: misaligned pages are a bad header, not InvalidPageRange.
  if (!isAligned)
    throw new ServiceError('InvalidHeaderValue', {
      HeaderName: 'Range',
      HeaderValue: String(headers['x-ms-range'] ?? headers.range),
    })
  const bodyBytes = bodyLength(plane.request)
  if (bodyBytes > updateBytesMax) throw new ServiceError('RequestBodyTooLarge', { MaxLimit: String(updateBytesMax) })
  const rangeBytes = range.endBytes - range.startBytes
  if (kind === 'update' && rangeBytes > updateBytesMax) throw new ServiceError('InvalidPageRange')
  if (bodyBytes !== (kind === 'update' ? rangeBytes : 0)) {
    throw new ServiceError('InvalidHeaderValue', { HeaderName: 'Content-Length', HeaderValue: String(bodyBytes) })
  }
  if (range.endBytes > blobBytes(plane.content)) throw new ServiceError('InvalidPageRange')
  return range
}

const bodyLength = (request: IncomingMessage): number => {
  const text = request.headers['content-length']
  if (text === undefined) throw new ServiceError('MissingContentLengthHeader')
  return Number(text)
}

const readBody = async (request: IncomingMessage): Promise<Buffer> => {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

const checkMd5 = (request: IncomingMessage, bytes: Buffer): void => {
  const expected = request.headers['content-md5']
  if (expected === undefined) return
  const actual = createHash('md5').update(bytes).digest('base64')
  if (actual !== expected)
    throw new ServiceError('Md5Mismatch', { UserSpecifiedMd5: String(expected), ServerCalculatedMd5: actual })
}
