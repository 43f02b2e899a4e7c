import type { IncomingHttpHeaders } from 'node:http'
import type { ContentVersion } from '../disks/disk-contents.ts'

/** What the conditional headers of a request ask for ("Specifying conditional headers for Blob service operations"): `proceed`,
 * or the status to answer. Of a read, `If-None-Match` and `If-Modified-Since` that do not hold answer 304, everything else 412. ETags
 * are taken with and without quotation marks, as recorded. */
export const checkConditions = (
  headers: IncomingHttpHeaders,
  version: ContentVersion,
  isRead: boolean,
): 'proceed' | 304 | 412 => {
  const modified = Math.floor(version.lastModified.getTime() / 1000) * 1000
  const ifMatch = headers['if-match']
  if (ifMatch !== undefined && !isNamed(ifMatch, version.etag)) return 412
  const unmodifiedSince = Date.parse(headers['if-unmodified-since'] ?? '')
  if (modified > unmodifiedSince) return 412
  const ifNoneMatch = headers['if-none-match']
  if (ifNoneMatch !== undefined && isNamed(ifNoneMatch, version.etag)) return isRead ? 304 : 412
  const modifiedSince = Date.parse(headers['if-modified-since'] ?? '')
  if (modified <= modifiedSince) return isRead ? 304 : 412
  return 'proceed'
}

const isNamed = (list: string, etag: string): boolean =>
  list.split(',').some((item) => item.trim() === '*' || item.trim().replaceAll('"', '') === etag.replaceAll('"', ''))
