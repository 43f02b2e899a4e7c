import {
  type AccessTier,
  type BlobContent,
  type ObjectCreator,
  type RangeOptions,
  type ReadOptions,
  StorageError,
} from '../ports/blob-store.ts'
import { lengthOf } from './block-bodies.ts'
import type { AnswerHead } from './http/answer-head.ts'
import type { AnswerTaker } from './http/answer-parser.ts'
import { type ConnectionPool, createConnectionPool } from './http/connection-pool.ts'
import type { StorageAccount } from './storage-account.ts'
import { storageCodeOf, storageStatusOf } from './storage-faults.ts'
import { withTries } from './storage-tries.ts'

/** A version of the Blob service's REST API that all of these requests have been the same since; Azurite knows it, too. */
const apiVersion = '2021-12-02'
const readBytesMax = 64 * 1024 * 1024
const connectionsMax = 64
/** Tries have a time limit of their own, which grows with their bytes; a dead connection shows earlier. */
const idleMsMax = 60_000
const totalMsMax = 24 * 3_600_000
/** An error document is some hundred bytes. */
const refusalBytesMax = 4096

/** One container's objects by plain HTTP, whole and in ranges: the way of all bytes of a disk. Bodies go from the caller's memory to the
 * socket and back without a stream between them, and nothing else has to be loaded, so that a thread costs little memory. Where the
 * container is missing, reads find nothing and the first create makes it.
 * @param segmentTier of the objects below `segments/`, nearly all of the bytes; everything else, and where absent all, gets the
 * account's own tier */
export const createObjectStore = (
  account: StorageAccount,
  container: string,
  connections: ConnectionPool = createConnectionPool(connectionsMax),
  segmentTier: AccessTier | null = null,
): ObjectCreator => {
  const send = sendTo(account, container, connections)
  return {
    read: (name, options) => readWhole(send, name, options),
    readRange: (name, offsetBytes, lengthBytes, options) => readPart(send, name, { offsetBytes, lengthBytes }, options),
    create: (name, parts, options) =>
      withTries(name, lengthOf(parts), options, ({ abortSignal }) =>
        createOnce(send, name, parts, tierHeader(name, segmentTier), abortSignal),
      ),
  }
}

interface ObjectRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT'
  /** Empty for the container itself. */
  readonly name: string
  readonly query?: string
  readonly headers?: Readonly<Record<string, string | number>>
  readonly body?: readonly Uint8Array[]
  /** What becomes of the body of a successful answer; nothing where absent. */
  readonly takerOf?: AnswerTaker
}

/** @throws Refusal for an answer that is no success */
type Send = (request: ObjectRequest, signal: AbortSignal) => Promise<AnswerHead>

/** What the service answered instead, in the form that storage-faults.ts reads: that of the SDK's errors. */
class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly statusCode: number
  readonly code: string
  readonly response: { readonly headers: { readonly get: (name: string) => string | undefined } }
  constructor({ status, headers }: AnswerHead, text: string) {
    super(`The storage service answered ${status}.`)
    this.statusCode = status
    this.code = headers.get('x-ms-error-code') ?? /<Code>(\w+)<\/Code>/.exec(text)?.[1] ?? ''
    this.response = { headers: { get: (name) => headers.get(name) } }
  }
}

const sendTo =
  ({ blobEndpoint, authorise }: StorageAccount, container: string, connections: ConnectionPool): Send =>
  async ({ method, name, query, headers, body, takerOf }, signal) => {
    const path = [container, ...(name === '' ? [] : name.split('/'))].map(encodeURIComponent).join('/')
    const url = new URL(`${blobEndpoint}/${path}${query ?? ''}`)
    const length = method === 'PUT' ? { 'content-length': lengthOf(body ?? []) } : {}
    const plain = { method, url, headers: { 'x-ms-version': apiVersion, ...length, ...headers } }
    const request = {
      ...plain,
      ...(await authorise(plain)),
      idleMsMax,
      totalMsMax,
      ...(body === undefined ? {} : { body }),
    }
    let text = ''
    const refusal = (piece: Buffer) => {
      if (text.length < refusalBytesMax) text += piece.toString('latin1')
    }
    const chosen: AnswerTaker = (head) => (head.status >= 300 ? refusal : (takerOf?.(head) ?? (() => undefined)))
    const head = await connections.exchange(request, chosen, signal)
    if (head.status >= 300) throw new Refusal(head, text)
    return head
  }

const readWhole = (send: Send, name: string, options?: ReadOptions): Promise<BlobContent | null> =>
  withTries(name, 0, options, async ({ abortSignal, allowFor }) => {
    const pieces: Buffer[] = []
    let bytes: Buffer | null = null
    const takerOf: AnswerTaker = ({ framing }) => {
      pieces.splice(0)
      bytes = null
      if (framing.kind !== 'length') return (piece) => pieces.push(Buffer.from(piece))
      if (framing.lengthBytes > (options?.lengthBytesMax ?? readBytesMax))
        throw new StorageError({ code: 'too-large', name })
      allowFor(framing.lengthBytes)
      bytes = Buffer.allocUnsafeSlow(framing.lengthBytes)
      return bytes
    }
    const head = await send({ method: 'GET', name, takerOf }, abortSignal).catch(absentAsNull)
    if (head === null) return null
    return { bytes: bytes ?? Buffer.concat(pieces), etag: head.headers.get('etag') ?? '' }
  })

const readPart = (
  send: Send,
  name: string,
  { offsetBytes, lengthBytes }: { readonly offsetBytes: number; readonly lengthBytes: number },
  options?: RangeOptions,
): Promise<Uint8Array | null> =>
  withTries(name, lengthBytes, options, async ({ abortSignal }) => {
    if (lengthBytes === 0) return emptyPart(send, name, offsetBytes, abortSignal)
    const target = options?.into ?? Buffer.allocUnsafeSlow(lengthBytes)
    const range = `bytes=${offsetBytes}-${offsetBytes + lengthBytes - 1}`
    const takerOf: AnswerTaker = ({ framing, headers }) => {
      const answered = /^bytes (\d+-\d+)\//.exec(
        headers.get('content-range') ?? range.replace('=', ' ').concat('/'),
      )?.[1]
      const isWhole = framing.kind !== 'length' || framing.lengthBytes === lengthBytes
      if (`bytes=${answered}` !== range || !isWhole) throw new StorageError({ code: 'short-object', name })
      return target
    }
    const head = await send({ method: 'GET', name, headers: { 'x-ms-range': range }, takerOf }, abortSignal).catch(
      (error: unknown) => {
        if (storageStatusOf(error) === 416) throw new StorageError({ code: 'short-object', name })
        return absentAsNull(error)
      },
    )
    return head === null ? null : target
  })

/** HTTP has no range of no bytes, so the object's length is asked for instead. */
const emptyPart = async (
  send: Send,
  name: string,
  offsetBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array | null> => {
  const head = await send({ method: 'HEAD', name }, signal).catch(absentAsNull)
  if (head === null) return null
  if (offsetBytes > Number(head.headers.get('content-length') ?? 0))
    throw new StorageError({ code: 'short-object', name })
  return new Uint8Array(0)
}

/** Access tier Cold needs a version of 2021-12-02 at least (Put Blob). */
const tierHeader = (name: string, segmentTier: AccessTier | null): Readonly<Record<string, string>> =>
  segmentTier !== null && name.startsWith('segments/') ? { 'x-ms-access-tier': segmentTier } : {}

const createOnce = async (
  send: Send,
  name: string,
  parts: readonly Uint8Array[],
  tier: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<'created' | 'exists'> => {
  const headers = { 'x-ms-blob-type': 'BlockBlob', 'if-none-match': '*', ...tier }
  const put = () => send({ method: 'PUT', name, headers, body: parts }, signal)
  try {
    await put().catch(async (error: unknown) => {
      if (storageCodeOf(error) !== 'ContainerNotFound') throw error
      await makeContainer(send, signal)
      return put()
    })
    return 'created'
  } catch (error) {
    // 409 BlobAlreadyExists answers If-None-Match: *; 412 some services.
    if (storageStatusOf(error) === 412 || storageCodeOf(error) === 'BlobAlreadyExists') return 'exists'
    throw error
  }
}

const makeContainer = async (send: Send, signal: AbortSignal): Promise<void> => {
  await send({ method: 'PUT', name: '', query: '?restype=container' }, signal).catch((error: unknown) => {
    if (storageCodeOf(error) !== 'ContainerAlreadyExists') throw error
  })
}

/** 404 means both `no such object` and `no such container`. */
const absentAsNull = (error: unknown): null => {
  if (storageStatusOf(error) === 404) return null
  throw error
}
