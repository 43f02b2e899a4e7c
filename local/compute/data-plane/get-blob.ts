import { createHash } from 'node:crypto'
import { type ByteRange, clipRange, rangeOf } from './byte-range.ts'
import { answeredByConditions, blobBytes, type PlaneRequest } from './plane-request.ts'
import { ServiceError } from './service-error.ts'

const chunkBytes = 1 << 20
/** Get Blob gives an MD5 for ranges of at most 4 MiB. */
const md5BytesMax = 4 * 2 ** 20

/** Get Blob Properties: HEAD of a SAS URL. The length includes the 512 bytes of the footer, as recorded. */
export const getBlobProperties = async (plane: PlaneRequest): Promise<void> => {
  if (await answeredByConditions(plane, true)) return
  setBlobHeaders(plane)
  plane.response.setHeader('content-length', blobBytes(plane.content))
  plane.response.end()
}

/** Get Blob: all bytes with 200, or those of one range with 206. */
export const getBlob = async (plane: PlaneRequest): Promise<void> => {
  const lengthBytes = blobBytes(plane.content)
  const wanted = rangeOf(plane.request.headers)
  if (await answeredByConditions(plane, true)) return
  const range = wanted === null ? { startBytes: 0, endBytes: lengthBytes } : clipRange(wanted, lengthBytes)
  setBlobHeaders(plane)
  if (wanted !== null) {
    plane.response.statusCode = 206
    plane.response.setHeader('content-range', `bytes ${range.startBytes}-${range.endBytes - 1}/${lengthBytes}`)
  }
  plane.response.setHeader('content-length', range.endBytes - range.startBytes)
  if (plane.request.headers['x-ms-range-get-content-md5'] === 'true') {
    plane.response.setHeader('content-md5', await md5Of(plane, wanted === null ? null : range))
  }
  await sendRange(plane, range)
}

const sendRange = async (plane: PlaneRequest, range: ByteRange): Promise<void> => {
  for (let at = range.startBytes; at < range.endBytes; at += chunkBytes) {
    // A new buffer each time: the socket may still hold the last one.
    const chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, range.endBytes - at))
    await plane.contents.read(plane.content, chunk, at)
    await plane.body.write(chunk)
  }
  plane.body.end()
}

const md5Of = async (plane: PlaneRequest, range: ByteRange | null): Promise<string> => {
  if (range === null || range.endBytes - range.startBytes > md5BytesMax) {
    throw new ServiceError('InvalidHeaderValue', { HeaderName: 'x-ms-range-get-content-md5', HeaderValue: 'true' })
  }
  const bytes = Buffer.alloc(range.endBytes - range.startBytes)
  await plane.contents.read(plane.content, bytes, range.startBytes)
  return createHash('md5').update(bytes).digest('base64')
}

const setBlobHeaders = ({ response, content }: PlaneRequest): void => {
  response.setHeader('accept-ranges', 'bytes')
  response.setHeader('content-type', 'application/octet-stream')
  response.setHeader('x-ms-blob-type', 'PageBlob')
  response.setHeader('x-ms-blob-sequence-number', '0')
  response.setHeader('x-ms-creation-time', content.createdAt.toUTCString())
  response.setHeader('x-ms-server-encrypted', 'true')
  if (content.kind === 'snapshot') response.setHeader('x-ms-incremental-copy', 'true')
}
