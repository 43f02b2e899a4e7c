import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import type { StorageConnection } from '../config.ts'

/** Where the blobs of an account are and how requests to them are authorised. */
export interface StorageAccount {
  /** Without a slash at the end. */
  readonly blobEndpoint: string
  readonly authorise: Authorise
}

/** Completes a request: its headers and, for a shared access signature, its address. */
export type Authorise = (request: UnauthorisedRequest) => Promise<AuthorisedRequest>

/** A request to a storage account as it is without leave. */
export interface UnauthorisedRequest {
  readonly method: string
  readonly url: URL
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | number>>
}

/** The same with its leave, in a header or in the query: secret. */
export type AuthorisedRequest = Pick<UnauthorisedRequest, 'headers' | 'url'>

/** A token for Azure Storage that is good for some minutes at least. */
export type TokenSource = () => Promise<string>

/** Azure Storage of the emulators: published, no secret. */
const developmentText =
  'AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1'

/** @param tokens asked where the connection names an identity
 * @throws Error without values where a connection string lacks something */
export const storageAccountOf = (connection: StorageConnection, tokens: TokenSource): StorageAccount => {
  if (connection.kind === 'identity')
    return { blobEndpoint: connection.blobServiceUri.replace(/\/+$/, ''), authorise: withToken(tokens) }
  const given = fieldsOf(connection.connectionString)
  const fields = given.get('usedevelopmentstorage') === 'true' ? fieldsOf(developmentText) : given
  const [name, key, signature] = ['accountname', 'accountkey', 'sharedaccesssignature'].map((field) =>
    fields.get(field),
  )
  const protocol = fields.get('defaultendpointsprotocol') ?? 'https'
  const suffix = fields.get('endpointsuffix') ?? 'core.windows.net'
  const endpoint =
    fields.get('blobendpoint') ?? (name === undefined ? undefined : `${protocol}://${name}.blob.${suffix}`)
  const authorise = signature === undefined ? sharedKeyOf(name, key) : withSignature(signature)
  if (endpoint === undefined || authorise === null)
    throw new Error('The storage connection string lacks an account, a key or a signature.')
  return { blobEndpoint: endpoint.replace(/\/+$/, ''), authorise }
}

const fieldsOf = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text.split(';').flatMap((part) => {
      const at = part.indexOf('=')
      return at < 0 ? [] : [[part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim()] as const]
    }),
  )

const withToken =
  (tokens: TokenSource): Authorise =>
  async ({ url, headers }) => ({ url, headers: { ...headers, authorization: `Bearer ${await tokens()}` } })

const withSignature =
  (signature: string): Authorise =>
  async ({ url, headers }) => {
    const signed = signature.replace(/^\?/, '')
    return { headers, url: new URL(`${url.href}${url.search === '' ? '?' : '&'}${signed}`) }
  }

const sharedKeyOf = (name: string | undefined, key: string | undefined): Authorise | null => {
  if (name === undefined || key === undefined) return null
  const secret = createSecretKey(Buffer.from(key, 'base64'))
  return async (request) => {
    const dated = { ...request.headers, 'x-ms-date': new Date().toUTCString() }
    const signature = signatureOf({ ...request, headers: dated }, name, secret)
    return { url: request.url, headers: { ...dated, authorization: `SharedKey ${name}:${signature}` } }
  }
}

/** The headers that a Shared Key signature holds by place, between the method and those of Azure ("Authorize with Shared Key"). */
const signedHeaders = [
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'if-modified-since',
  'if-match',
  'if-none-match',
  'if-unmodified-since',
  'range',
]

const signatureOf = ({ method, url, headers }: UnauthorisedRequest, account: string, secret: KeyObject): string => {
  const placed = signedHeaders.map((name) => String(headers[name] ?? ''))
  // A length of zero is left out since version 2015-02-21.
  const lines = [method, ...placed.map((value, index) => (index === 2 && value === '0' ? '' : value))]
  const azure = Object.keys(headers)
    .filter((name) => name.startsWith('x-ms-'))
    .sort()
    .map((name) => `${name}:${headers[name]}`)
  const parameters = [...url.searchParams].map(([name, value]) => `\n${name.toLowerCase()}:${value}`).sort()
  const text = [...lines, ...azure, `/${account}${url.pathname}${parameters.join('')}`].join('\n')
  return createHmac('sha256', secret).update(text, 'utf8').digest('base64')
}
