import type { ServerResponse } from 'node:http'

/** Codes, statuses and messages as "Blob service error codes" and "Common REST API error codes" of the Azure Storage REST
 * documentation list them. */
const knownErrors = {
  AuthenticationFailed: [
    403,
    'Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.',
  ],
  AuthorizationPermissionMismatch: [
    403,
    'This request is not authorized to perform this operation using this permission.',
  ],
  BlobNotFound: [404, 'The specified blob does not exist.'],
  BlobOverwritten: [409, 'The blob has been recreated since the previous snapshot was taken.'],
  ConditionNotMet: [412, 'The condition specified using HTTP conditional header(s) is not met.'],
  InternalError: [500, 'Server encountered an internal error. Please try again after some time.'],
  InvalidHeaderValue: [400, 'The value for one of the HTTP headers is not in the correct format.'],
  InvalidInput: [400, 'One of the request inputs is not valid.'],
  InvalidPageRange: [416, 'The page range specified is invalid.'],
  InvalidQueryParameterValue: [400, 'Value for one of the query parameters specified in the request URI is invalid.'],
  InvalidRange: [416, 'The range specified is invalid for the current size of the resource.'],
  Md5Mismatch: [400, 'The MD5 value specified in the request did not match the MD5 value calculated by the server.'],
  MissingContentLengthHeader: [411, 'The Content-Length header was not specified.'],
  MissingRequiredHeader: [400, 'An HTTP header that is mandatory for this request is not specified.'],
  OperationTimedOut: [500, 'The operation could not be completed within the permitted time.'],
  OutOfRangeQueryParameterValue: [
    400,
    'One of the query parameters specified in the request URI is outside the permissible range.',
  ],
  PreviousSnapshotCannotBeNewer: [
    400,
    'The prevsnapshot query parameter value cannot be newer than snapshot query parameter value.',
  ],
  PreviousSnapshotNotFound: [409, 'The previous snapshot is not found.'],
  PreviousSnapshotOperationNotSupported: [
    409,
    'Differential Get Page Ranges is not supported on the previous snapshot.',
  ],
  RequestBodyTooLarge: [413, 'The request body is too large and exceeds the maximum permissible limit.'],
  ServerBusy: [503, 'The server is currently unable to receive requests. Please retry your request.'],
  UnsupportedHeader: [400, 'One of the HTTP headers specified in the request is not supported.'],
  UnsupportedHttpVerb: [405, 'The resource doesn’t support the specified HTTP verb.'],
} as const satisfies Record<string, readonly [number, string]>

export type ServiceErrorCode = keyof typeof knownErrors

/** A request that is answered with an error document. `details` are elements of it, such as the header that was wrong. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError'
  readonly code: ServiceErrorCode
  readonly details: Readonly<Record<string, string>>
  constructor(code: ServiceErrorCode, details: Readonly<Record<string, string>> = {}) {
    super(`${code}: ${knownErrors[code][1]}`)
    this.code = code
    this.details = details
  }
}

export const statusOf = (code: ServiceErrorCode): number => knownErrors[code][0]

/** The mark at the start of XML bodies of the real service. */
export const byteOrderMark = '\uFEFF'

/** Sends an error as the service does: the code in a header and, but for HEAD and 304, an XML body that starts with a byte order
 * mark. Returns the number of body bytes.
 * @param status in place of the code's own, for conditions of reads (304) and faults */
export const sendError = (
  response: ServerResponse,
  error: { readonly code: string; readonly status: number; readonly details?: Readonly<Record<string, string>> },
  hasBody: boolean,
): number => {
  const [, message] = error.code in knownErrors ? knownErrors[error.code as ServiceErrorCode] : [0, error.code]
  response.statusCode = error.status
  response.setHeader('x-ms-error-code', error.code)
  if (!hasBody || error.status === 304) {
    response.end()
    return 0
  }
  const requestId = String(response.getHeader('x-ms-request-id') ?? '')
  const text = `${message}\nRequestId:${requestId}\nTime:${new Date().toISOString()}`
  const details = Object.entries(error.details ?? {}).map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`)
  const body = `${byteOrderMark}<?xml version="1.0" encoding="utf-8"?>\n<Error><Code>${error.code}</Code><Message>${text}</Message>${details.join('')}</Error>`
  response.setHeader('content-type', 'application/xml')
  response.setHeader('content-length', Buffer.byteLength(body))
  response.end(body)
  return Buffer.byteLength(body)
}

const escapeXml = (text: string): string => text.replace(/[<>&]/g, (character) => `&#${character.charCodeAt(0)};`)
