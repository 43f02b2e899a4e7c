import type { Extent } from '../domain/extent.ts'
import { type DiskReader, type ReaderOptions, SourceError } from '../ports/disk-reader.ts'
import type { AnswerHead } from './http/answer-head.ts'
import { listPages, sasApiVersion } from './page-range-listing.ts'
import { checkedSasUrl, createSasSockets, type SasSockets } from './sas-request.ts'
import { type RetryLimits, retryLimitsDefault, type SasDependencies, sendWithRetry } from './sas-retry.ts'
import { vhdFooterBytes } from './sas-vhd-footer.ts'

/** A read that stays silent so long is tried again. */
const readIdleMsMax = 60_000
/** A listing may be computed before its first byte comes. */
const listIdleMsMax = 300_000

/** What is read, and how patiently. Without `limits` those of `retryLimitsDefault` hold. */
export interface SasReaderOptions {
  /** Read SAS of a disk restore point, a snapshot or a disk. Secret: it is shown to nobody, not in errors either. */
  readonly sasUrl: string
  /** Read SAS of the older snapshot to compare with; null: `listRanges` lists what is allocated. Secret. */
  readonly baseSasUrl: string | null
  /** Connections shared with other readers; without them the reader has, and closes, its own. */
  readonly sockets?: SasSockets
  readonly socketsMax?: number
  readonly limits?: Partial<RetryLimits>
  readonly random?: () => number
}

/** Reads a managed disk over its SAS URL: size by HEAD, ranges by Get Page Ranges (our own request: the SDK counts the last byte of
 * every range away and cannot take the marker of a managed-disk diff), bytes by ranged GET. Safe for many calls at once. */
export const createSasDiskReader = (options: SasReaderOptions): DiskReader => {
  const sasUrl = checkedSasUrl(options.sasUrl)
  const address = new URL(sasUrl)
  const baseSasUrl = options.baseSasUrl === null ? null : checkedSasUrl(options.baseSasUrl)
  const sockets = options.sockets ?? createSasSockets(options.socketsMax)
  const limits = { ...retryLimitsDefault, ...options.limits }
  const deps: SasDependencies = { sockets, limits, random: options.random ?? Math.random }
  const counters = { listCalls: 0, readCalls: 0, readBytes: 0 }
  let size: number | null = null

  const sizeBytes = async (call?: ReaderOptions): Promise<number> => {
    size ??= await headSize(deps, sasUrl, call?.signal)
    return size
  }

  return {
    counters,
    sizeBytes,
    async *listRanges(window, call) {
      const whole: Extent = { offsetBytes: 0, lengthBytes: await sizeBytes(call) }
      const request = { sasUrl, baseSasUrl, window: clip(window ?? whole, whole) }
      const count = () => {
        counters.listCalls += 1
      }
      yield* listPages(deps, { ...request, count, idleMsMax: listIdleMsMax, signal: call?.signal })
    },
    async readInto(target, offsetBytes, call) {
      if (target.byteLength === 0) return
      const range = `bytes=${offsetBytes}-${offsetBytes + target.byteLength - 1}`
      const headers = { 'x-ms-version': sasApiVersion, 'x-ms-range': range }
      const onReceived = (bytes: number) => {
        counters.readBytes += bytes
      }
      const into = (head: AnswerHead): Uint8Array => {
        counters.readCalls += 1
        checkRange(head, range)
        return target
      }
      const request = { method: 'GET', url: address, headers, idleMsMax: readIdleMsMax, onReceived } as const
      await sendWithRetry(deps, request, into, { signal: call?.signal })
    },
    close() {
      if (options.sockets === undefined) sockets.close()
    },
  }
}

/** The bytes of the raw disk behind a SAS URL, its footer not counted. */
const headSize = async (deps: SasDependencies, sasUrl: string, signal: AbortSignal | undefined): Promise<number> => {
  const call = {
    method: 'HEAD',
    url: sasUrl,
    headers: { 'x-ms-version': sasApiVersion },
    idleMsMax: readIdleMsMax,
  } as const
  let length = Number.NaN
  let status = 0
  const take = (head: AnswerHead) => {
    status = head.status
    length = Number(head.headers.get('content-length') ?? Number.NaN) - vhdFooterBytes
    return () => undefined
  }
  await sendWithRetry(deps, call, take, { signal })
  if (Number.isSafeInteger(length) && length > 0 && length % vhdFooterBytes === 0) return length
  throw new SourceError({ code: 'rejected', status, serviceCode: 'NotAFixedVhd' })
}

/** Bytes of another place would be taken for ours without a word; a server that ignores the range sends such. */
const checkRange = ({ status, headers }: AnswerHead, range: string): void => {
  const answered = /^bytes (\d+-\d+)\/\d+$/.exec(headers.get('content-range') ?? '')?.[1]
  if (status === 206 && `bytes=${answered}` === range) return
  throw new SourceError({ code: 'rejected', status, serviceCode: 'WrongRange' })
}

const clip = (window: Extent, whole: Extent): Extent => {
  const end = Math.min(window.offsetBytes + window.lengthBytes, whole.lengthBytes)
  return { offsetBytes: window.offsetBytes, lengthBytes: Math.max(0, end - window.offsetBytes) }
}
