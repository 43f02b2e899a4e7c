import type { ReaderOptions } from '../ports/disk-reader.ts'
import type { DiskWriter } from '../ports/disk-writer.ts'
import { sasApiVersion } from './page-range-listing.ts'
import { checkedSasUrl, createSasSockets, type SasSockets } from './sas-request.ts'
import { type RetryLimits, retryLimitsDefault, type SasDependencies, sendWithRetry } from './sas-retry.ts'
import { fixedVhdFooter, vhdFooterBytes } from './sas-vhd-footer.ts'

/** Put Page: an update writes at most 4 MiB. */
const updateBytesMax = 4 * 2 ** 20
const writeIdleMsMax = 60_000

/** What is written, and how patiently. Without `limits` those of `retryLimitsDefault` hold. */
export interface SasWriterOptions {
  /** Write SAS of a disk that awaits its upload. Secret. */
  readonly sasUrl: string
  /** Bytes of the raw disk; the upload has 512 more. */
  readonly sizeBytes: number
  readonly sockets?: SasSockets
  readonly socketsMax?: number
  readonly limits?: Partial<RetryLimits>
  readonly random?: () => number
}

/** Writes a managed disk that was made for upload, by Put Page. A try whose answer was lost is repeated: the same bytes land in the
 * same place. Safe for many calls at once. Faults are those of the reader. */
export const createSasDiskWriter = (options: SasWriterOptions): DiskWriter => {
  const sasUrl = checkedSasUrl(options.sasUrl)
  const sockets = options.sockets ?? createSasSockets(options.socketsMax)
  const limits = { ...retryLimitsDefault, ...options.limits }
  const deps: SasDependencies = { sockets, limits, random: options.random ?? Math.random }
  const counters = { writeCalls: 0, writtenBytes: 0 }
  const url = new URL(`${sasUrl}&comp=page`)

  const putPage = async (offsetBytes: number, body: Uint8Array, call?: ReaderOptions): Promise<void> => {
    const headers = {
      'x-ms-version': sasApiVersion,
      'x-ms-page-write': 'update',
      'x-ms-range': `bytes=${offsetBytes}-${offsetBytes + body.byteLength - 1}`,
      'content-type': 'application/octet-stream',
      'content-length': body.byteLength,
    }
    await sendWithRetry(deps, { method: 'PUT', url, headers, body, idleMsMax: writeIdleMsMax }, noBody, {
      signal: call?.signal,
    })
    counters.writeCalls += 1
    counters.writtenBytes += body.byteLength
  }

  return {
    counters,
    async write(offsetBytes, bytes, call) {
      if (offsetBytes % vhdFooterBytes !== 0 || bytes.byteLength % vhdFooterBytes !== 0) {
        throw new RangeError('Disks are written in whole sectors of 512 bytes.')
      }
      if (offsetBytes + bytes.byteLength > options.sizeBytes)
        throw new RangeError('A write reaches past the end of the disk.')
      for (let at = 0; at < bytes.byteLength; at += updateBytesMax) {
        await putPage(offsetBytes + at, bytes.subarray(at, at + updateBytesMax), call)
      }
    },
    async writeFooter(call) {
      // The path names the disk; the query, which is secret, is left out.
      const name = URL.parse(sasUrl)?.pathname ?? ''
      await putPage(options.sizeBytes, fixedVhdFooter(options.sizeBytes, name), call)
    },
    close() {
      if (options.sockets === undefined) sockets.close()
    },
  }
}

/** Put Page answers without a body. */
const noBody = () => () => undefined
