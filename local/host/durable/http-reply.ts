import type { IncomingMessage, ServerResponse } from 'node:http'

/** An HTTP answer, made before anything is written. No body: Content-Length 0 and no type. */
export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** Written as JSON; a string becomes a JSON string, as the real endpoints write it. */
  readonly body?: unknown
}

/** Without a body. */
export const emptyReply = (status: number): Reply => ({ status })
/** With a body that is written as JSON. */
export const jsonReply = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status,
  headers,
  body,
})

/** The error body of the Durable endpoints, keys in their order; there is no .NET stack trace to show. */
export const errorReply = (status: number, message: string, exception: string, type: string): Reply =>
  jsonReply(status, { Message: message, ExceptionMessage: exception, ExceptionType: type, StackTrace: '' })

/** Writes the answer and ends it. */
export function sendReply(response: ServerResponse, reply: Reply): void {
  if (reply.body === undefined) {
    response.writeHead(reply.status, { ...reply.headers, 'content-length': '0' }).end()
    return
  }
  const text = JSON.stringify(reply.body)
  const type = { 'content-type': 'application/json; charset=utf-8' }
  response.writeHead(reply.status, { ...reply.headers, ...type, 'content-length': Buffer.byteLength(text) }).end(text)
}

/** Largest body that is taken: starts and events carry small inputs; big data belongs in a blob. */
const bodyBytesMax = 32 * 1024 * 1024

/** @returns undefined if the body is larger than is taken; what is left of it is read and dropped */
export async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length
    if (bytes <= bodyBytesMax) chunks.push(chunk as Buffer)
  }
  return bytes <= bodyBytesMax ? Buffer.concat(chunks).toString('utf8') : undefined
}
