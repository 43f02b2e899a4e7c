import type { ChangedRange } from '../../../shared/domain/extent.ts'
import type { ChangedListing, ListWindow, RangeListing } from '../disks/disk-contents.ts'
import { clipRange, rangeOf } from './byte-range.ts'
import { answeredByConditions, blobBytes, type PlaneRequest } from './plane-request.ts'
import { byteOrderMark, ServiceError, type ServiceErrorCode } from './service-error.ts'

/** Get Page Ranges: `maxresults` above this counts as this. */
const pageListLimit = 10_000
/** First version with `x-ms-previous-snapshot-url`, and first with `marker` and `maxresults` (Get Page Ranges). */
const previousSnapshotVersion = '2019-07-07'
const markerVersion = '2020-10-02'

/** Get Page Ranges of a disk or snapshot; with `x-ms-previous-snapshot-url`, what was written or cleared since that snapshot. */
export const getPageRanges = async (plane: PlaneRequest): Promise<void> => {
  const window = windowOf(plane)
  if (await answeredByConditions(plane, true)) return
  const listing = await listed(plane, window)
  plane.response.setHeader('content-type', 'application/xml')
  plane.response.setHeader('x-ms-blob-content-length', blobBytes(plane.content))
  // No length: the service sends listings in chunks.
  await plane.body.write(Buffer.from(toXml(listing)))
  plane.body.end()
}

const listed = async (plane: PlaneRequest, window: ListWindow): Promise<RangeListing> => {
  if (plane.url.searchParams.has('prevsnapshot')) {
    // What managed disks answered to a SAS URL in this parameter.
    throw new ServiceError('InvalidQueryParameterValue', { QueryParameterName: 'prevsnapshot' })
  }
  const previous = plane.request.headers['x-ms-previous-snapshot-url']
  if (previous === undefined) return plane.contents.listAllocated(plane.content, window)
  if (plane.version < previousSnapshotVersion) {
    throw new ServiceError('UnsupportedHeader', { HeaderName: 'x-ms-previous-snapshot-url' })
  }
  const url = URL.parse(String(previous))
  if (url === null) throw new ServiceError('InvalidHeaderValue', { HeaderName: 'x-ms-previous-snapshot-url' })
  const base = await plane.contents.authorize(url)
  if (base === null) throw new ServiceError('AuthenticationFailed')
  return acceptedOf(await plane.contents.listChanged(plane.content, base, window))
}

const acceptedOf = (listing: ChangedListing): RangeListing => {
  if (listing.kind === 'listed') return listing
  const codes = {
    differentFamily: 'PreviousSnapshotNotFound',
    baseIsNewer: 'PreviousSnapshotCannotBeNewer',
    acrossResize: 'PreviousSnapshotOperationNotSupported',
    notSnapshots: 'PreviousSnapshotOperationNotSupported',
  } as const satisfies Record<typeof listing.reason, ServiceErrorCode>
  throw new ServiceError(codes[listing.reason])
}

/** The part of the blob to list: the range asked for, from the marker on. */
const windowOf = (plane: PlaneRequest): ListWindow => {
  const lengthBytes = blobBytes(plane.content)
  const range = rangeOf(plane.request.headers)
  const whole = range === null ? { startBytes: 0, endBytes: lengthBytes } : clipRange(range, lengthBytes)
  if (plane.version < markerVersion) return { ...whole, countMax: Number.MAX_SAFE_INTEGER }
  const startBytes = Math.max(whole.startBytes, markerOffset(plane.url.searchParams.get('marker')))
  return { startBytes, endBytes: whole.endBytes, countMax: countMaxOf(plane) }
}

const countMaxOf = ({ url, pageListMax }: PlaneRequest): number => {
  const text = url.searchParams.get('maxresults')
  if (text === null) return pageListMax
  if (!/^-?\d{1,15}$/.test(text)) {
    throw new ServiceError('InvalidQueryParameterValue', {
      QueryParameterName: 'maxresults',
      QueryParameterValue: text,
    })
  }
  if (Number(text) <= 0) {
    throw new ServiceError('OutOfRangeQueryParameterValue', {
      QueryParameterName: 'maxresults',
      QueryParameterValue: text,
    })
  }
  return Math.min(Number(text), pageListMax, pageListLimit)
}

/** Markers are opaque to clients. Ours name the offset where the next range begins. */
const markerOf = (offsetBytes: number): string => Buffer.from(`2!${offsetBytes}`).toString('base64')

const markerOffset = (marker: string | null): number => {
  if (marker === null || marker === '') return 0
  const match = /^2!(\d{1,16})$/.exec(Buffer.from(marker, 'base64').toString())
  if (match === null) throw new ServiceError('InvalidQueryParameterValue', { QueryParameterName: 'marker' })
  return Number(match[1])
}

/** Ranges interleaved by offset, ends inclusive, after a byte order mark. */
const toXml = ({ ranges, nextOffsetBytes }: RangeListing): string => {
  const next = nextOffsetBytes === null ? '' : `<NextMarker>${markerOf(nextOffsetBytes)}</NextMarker>`
  const start = `${byteOrderMark}<?xml version="1.0" encoding="utf-8"?>\n<PageList>`
  return `${start}${ranges.map(toElement).join('')}${next}</PageList>`
}

const toElement = ({ kind, offsetBytes, lengthBytes }: ChangedRange): string => {
  const name = kind === 'clear' ? 'ClearRange' : 'PageRange'
  return `<${name}><Start>${offsetBytes}</Start><End>${offsetBytes + lengthBytes - 1}</End></${name}>`
}
