import type { IncomingHttpHeaders } from 'node:http'
import { ServiceError } from './service-error.ts'

/** Half-open, in bytes. */
export interface ByteRange {
  readonly startBytes: number
  readonly endBytes: number
}

/** The one range of a request, from `x-ms-range` if present, else `Range` ("Specifying the range header for Blob service
 * operations"). Null where there is none. The end may lie past the blob's; callers clip or refuse.
 * @throws ServiceError InvalidHeaderValue for a malformed one */
export const rangeOf = (headers: IncomingHttpHeaders): ByteRange | null => {
  const own = headers['x-ms-range']
  const text = typeof own === 'string' ? own : headers.range
  if (text === undefined) return null
  const match = /^bytes=(\d{1,16})-(\d{1,16})?$/.exec(text)
  const startBytes = Number(match?.[1])
  const endBytes = match?.[2] === undefined ? Number.POSITIVE_INFINITY : Number(match[2]) + 1
  if (match === null || endBytes <= startBytes) {
    throw new ServiceError('InvalidHeaderValue', {
      HeaderName: own === undefined ? 'Range' : 'x-ms-range',
      HeaderValue: text,
    })
  }
  return { startBytes, endBytes }
}

/** The part of a range inside a blob of `lengthBytes`.
 * @throws ServiceError InvalidRange where it starts behind the end */
export const clipRange = (range: ByteRange, lengthBytes: number): ByteRange => {
  if (range.startBytes >= lengthBytes) throw new ServiceError('InvalidRange')
  return { startBytes: range.startBytes, endBytes: Math.min(range.endBytes, lengthBytes) }
}
