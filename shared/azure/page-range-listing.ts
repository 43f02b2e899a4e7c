import type { ChangedRange, Extent } from '../domain/extent.ts'
import { SourceError } from '../ports/disk-reader.ts'
import { createPageListScan, type PageList, PageListError, type PageListScan } from './page-list-scan.ts'
import { AttemptError, type SasCall } from './sas-request.ts'
import { type SasDependencies, sendWithRetry } from './sas-retry.ts'

/** Get Page Ranges knows markers since 2020-10-02 and the previous snapshot's URL since 2019-07-07; this version is recorded with
 * both against managed disks. It must be sent: the `sv` of these URLs is older. */
export const sasApiVersion = '2021-06-08'
/** Get Page Ranges: the service returns no more at once. */
const pageListMax = 10_000
/** Ranges handed on at once. They are objects only from here to where they are used, which is soon: few at a time die young, and so
 * neither end up among what lives long nor make the heap grow, however many there are. */
const rangesAtOnce = 256
/** Pages may be empty, but a listing that brings nothing for so long is going in a circle. */
const emptyPagesMax = 100

/** One list of ranges, page after page. `count` is told of each page. */
export interface ListingRequest {
  /** Secret. */
  readonly sasUrl: string
  /** Secret; null: all allocated ranges. */
  readonly baseSasUrl: string | null
  readonly window: Extent
  /** The first page of a diff may be computed while we wait. */
  readonly idleMsMax: number
  readonly signal: AbortSignal | undefined
  readonly count: () => void
}

/** Lists ranges page by page, clipped to the window. Follows markers; where the service gives one and then will not take it, goes on
 * by asking for the rest of the window instead.
 * @throws SourceError, also where ranges are out of order or a page brings nothing new: a list is never silently short */
export async function* listPages(
  deps: SasDependencies,
  request: ListingRequest,
): AsyncGenerator<readonly ChangedRange[]> {
  const endBytes = request.window.offsetBytes + request.window.lengthBytes
  const scan = createPageListScan()
  let listedBytes = request.window.offsetBytes
  let step: ListingStep = { startBytes: listedBytes, marker: null, takesMarkers: true, emptyPages: 0 }
  while (step.startBytes < endBytes) {
    const page: PageList | 'markerRefused' = await pageOf(deps, request, { ...step, scan }, endBytes)
    if (page === 'markerRefused') {
      // Everything up to here is listed, so a window that starts here misses nothing.
      step = { startBytes: listedBytes, marker: null, takesMarkers: false, emptyPages: step.emptyPages + 1 }
      continue
    }
    let isEmpty = true
    for (const ranges of within(page, listedBytes, endBytes)) {
      isEmpty = false
      const last = ranges.at(-1)
      if (last !== undefined) listedBytes = last.offsetBytes + last.lengthBytes
      yield ranges
    }
    if (page.nextMarker === null) return
    const emptyPages = isEmpty ? step.emptyPages + 1 : 0
    if (emptyPages > emptyPagesMax) throw unreadable('NoProgress')
    step = step.takesMarkers
      ? { ...step, marker: page.nextMarker, emptyPages }
      : { ...step, startBytes: listedBytes, emptyPages }
  }
}

interface ListingStep {
  readonly startBytes: number
  readonly marker: string | null
  readonly takesMarkers: boolean
  /** Pages in a row that brought nothing new. */
  readonly emptyPages: number
}

/** One page, tried again until it is whole. */
const pageOf = async (
  deps: SasDependencies,
  request: ListingRequest,
  { startBytes, marker, scan }: ListingStep & { readonly scan: PageListScan },
  endBytes: number,
): Promise<PageList | 'markerRefused'> => {
  const { signal, baseSasUrl } = request
  try {
    let page: PageList | null = null
    const onComplete = () => {
      page = scanned(() => scan.finish())
    }
    const pieces = () => {
      request.count()
      scan.begin()
      return (piece: Buffer) => scanned(() => scan.push(piece))
    }
    const call = { ...callOf(request, startBytes, endBytes, marker), onComplete }
    // A marker may be refused for its own sake; what else is wrong shows without it.
    await sendWithRetry(deps, call, pieces, { signal, isDiff: baseSasUrl !== null && marker === null })
    return page ?? scan.finish()
  } catch (error) {
    const isBadRequest = error instanceof SourceError && error.fault.code === 'rejected' && error.fault.status === 400
    if (marker !== null && isBadRequest) return 'markerRefused'
    throw error
  }
}

/** Appends to the SAS URL and never rebuilds it: its query is signed as it is. */
const callOf = (request: ListingRequest, startBytes: number, endBytes: number, marker: string | null): SasCall => {
  const next = marker === null ? '' : `&marker=${encodeURIComponent(marker)}`
  const base = request.baseSasUrl === null ? {} : { 'x-ms-previous-snapshot-url': request.baseSasUrl }
  return {
    method: 'GET',
    url: `${request.sasUrl}&comp=pagelist&maxresults=${pageListMax}${next}`,
    headers: { 'x-ms-version': sasApiVersion, 'x-ms-range': `bytes=${startBytes}-${endBytes - 1}`, ...base },
    idleMsMax: request.idleMsMax,
  }
}

const scanned = <T>(step: () => T): T => {
  try {
    return step()
  } catch (error) {
    if (error instanceof PageListError && !error.isCut) throw unreadable('UnreadablePageList')
    throw error instanceof PageListError ? new AttemptError({ kind: 'network', detail: 'list cut off' }) : error
  }
}

/** Clips ranges to what is still to be listed, some at a time, and refuses what is out of order before any is handed on. */
function* within(page: PageList, startBytes: number, endBytes: number): Generator<readonly ChangedRange[]> {
  checkOrder(page)
  let clipped: ChangedRange[] = []
  for (let index = 0; index < page.count; index += 1) {
    const { kind, offsetBytes, lengthBytes } = page.rangeAt(index)
    const start = Math.max(offsetBytes, startBytes)
    const end = Math.min(offsetBytes + lengthBytes, endBytes)
    if (end > start) clipped.push({ kind, offsetBytes: start, lengthBytes: end - start })
    if (clipped.length < rangesAtOnce) continue
    yield clipped
    clipped = []
  }
  if (clipped.length > 0) yield clipped
}

const checkOrder = (page: PageList): void => {
  let before = -1
  for (let index = 0; index < page.count; index += 1) {
    const { offsetBytes, lengthBytes } = page.rangeAt(index)
    if (offsetBytes < before) throw unreadable('UnorderedPageList')
    before = offsetBytes + lengthBytes
  }
}

const unreadable = (serviceCode: string): SourceError => new SourceError({ code: 'rejected', status: 200, serviceCode })
