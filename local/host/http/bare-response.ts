import type { ServerResponse } from 'node:http'

/** Answers with a status and nothing else, as the real host does for what never reaches a function. */
export const bareResponse = (response: ServerResponse, status: number): void => {
  response.writeHead(status, { 'content-length': 0 }).end()
}

/** Answers with JSON. */
export const jsonResponse = (response: ServerResponse, status: number, body: unknown): void => {
  const bytes = Buffer.from(JSON.stringify(body))
  response
    .writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': bytes.length })
    .end(bytes)
}

/** Refuses a body that is too long, and hangs up: the rest of it is not worth reading. */
export const refuseBody = (response: ServerResponse): void => {
  response.writeHead(413, { 'content-length': 0, connection: 'close' }).end(() => response.socket?.destroySoon())
}
