import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AuthorizedContent, DiskContents } from '../disks/disk-contents.ts'
import { footerBytes } from '../disks/vhd-footer.ts'
import { checkConditions } from './request-conditions.ts'
import { ServiceError, sendError } from './service-error.ts'

/** One authorized request on its way through the data plane. */
export interface PlaneRequest {
  readonly contents: DiskContents
  readonly content: AuthorizedContent
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  /** The API version that serves the request: its header, else the `sv` of its SAS. */
  readonly version: string
  /** Ranges in one page of a listing. */
  readonly pageListMax: number
  readonly body: BodyWriter
}

/** Sends a body piece by piece and no faster than the client takes it. */
export interface BodyWriter {
  write(bytes: Uint8Array): Promise<void>
  end(): void
  readonly bytesSent: () => number
}

/** @param cutAtBytes the connection is closed after so many bytes; null: never */
export const createBodyWriter = (response: ServerResponse, cutAtBytes: number | null): BodyWriter => {
  let sent = 0
  return {
    async write(bytes) {
      const left = cutAtBytes === null ? bytes.byteLength : cutAtBytes - sent
      const part = left < bytes.byteLength ? bytes.subarray(0, left) : bytes
      sent += part.byteLength
      const isFlushed = response.write(part)
      if (part.byteLength < bytes.byteLength) {
        response.socket?.destroySoon()
        throw new ConnectionCutError()
      }
      if (!isFlushed && !response.destroyed) await drained(response)
      if (response.destroyed) throw new ConnectionCutError()
    },
    end: () => response.end(),
    bytesSent: () => sent,
  }
}

/** Waits until the socket takes more, or is gone. */
const drained = async (response: ServerResponse): Promise<void> => {
  const settled = new AbortController()
  const { signal } = settled
  await Promise.race(
    [once(response, 'drain', { signal }), once(response, 'close', { signal })].map((event) =>
      event.catch(() => undefined),
    ),
  )
  settled.abort()
}

/** The connection is gone, by the client's doing or by a fault: nothing is left to answer. */
export class ConnectionCutError extends Error {
  override readonly name = 'ConnectionCutError'
}

/** The blob as clients see it: the data and the footer. */
export const blobBytes = (content: AuthorizedContent): number => content.sizeBytes + footerBytes

/** Answers a request whose conditional headers do not hold.
 * @returns true where the request is done with; else the ETag and the time are among the headers */
export const answeredByConditions = async (plane: PlaneRequest, isRead: boolean): Promise<boolean> => {
  const version = await plane.contents.version(plane.content)
  const verdict = checkConditions(plane.request.headers, version, isRead)
  if (verdict === 304) {
    sendError(plane.response, { code: 'ConditionNotMet', status: 304 }, false)
    return true
  }
  if (verdict === 412) throw new ServiceError('ConditionNotMet')
  plane.response.setHeader('etag', version.etag)
  plane.response.setHeader('last-modified', version.lastModified.toUTCString())
  return false
}
