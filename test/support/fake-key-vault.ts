import { constants, generateKeyPairSync, type KeyObject, privateDecrypt, publicEncrypt, randomBytes } from 'node:crypto'
import { createServer as createProxy, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import tls from 'node:tls'
import { generate } from 'selfsigned'

/** One version of a key, with what an administrator may do to it. */
export interface FakeKeyVersion {
  readonly version: string
  readonly url: string
  enabled: boolean
  /** Seconds since 1970; null: none. */
  expires: number | null
  operations: string[]
}

/** A request that arrived with a token. */
export interface KeyVaultRequest {
  readonly method: string
  /** Path without the query, as in `POST /keys/name/version/wrapkey`. */
  readonly path: string
}

/** A Key Vault of our own for tests: not the service, but its REST interface as far as keys are got, wrapped and unwrapped, with the answers of
 * "Azure Key Vault REST API error codes" and of the specification's examples. The SDK reaches it as `https://fleet-keys.vault.azure.net` through a
 * proxy, so that nothing of the app knows that it is not the service. */
export interface FakeKeyVault extends AsyncDisposable {
  readonly origin: string
  /** What HTTPS_PROXY has to hold. */
  readonly proxyUrl: string
  /** PEM of the certificate that clients have to trust. */
  readonly certificate: string
  readonly requests: KeyVaultRequest[]
  /** The token that is taken. */
  readonly token: string
  /** Takes other tokens too: those of an identity that is emulated elsewhere. */
  takesToken: (token: string) => boolean
  /** Makes a key, or the next version of it. */
  addVersion(name: string): FakeKeyVersion
  /** Soft-deletes a key with all its versions; `recover` brings it back. */
  remove(name: string): void
  recover(name: string): void
  /** What the caller's role permits; all at first. */
  permitted: Set<'get' | 'wrapKey' | 'unwrapKey'>
  /** Answers to give instead of the real one, first come first served; `cut` ends the connection. */
  readonly answers: ({ readonly status: number; readonly retryAfter?: string } | 'cut')[]
}

interface StoredVersion extends FakeKeyVersion {
  readonly keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
}

const host = 'fleet-keys.vault.azure.net'
const origin = `https://${host}`

/** Making an RSA key takes a noticeable part of a second, so versions share a few. */
const keyPairs: StoredVersion['keys'][] = []
const keyPairOf = (number: number): StoredVersion['keys'] =>
  (keyPairs[number % 3] ??= generateKeyPairSync('rsa', { modulusLength: 2048 }))

/** Starts it and lets this process trust it. */
export const startFakeKeyVault = async (): Promise<FakeKeyVault> => {
  const keys = new Map<string, StoredVersion[]>()
  const deleted = new Map<string, StoredVersion[]>()
  made ??= createCertificate()
  const certificate = await made
  const server = createServer({ key: certificate.private, cert: certificate.cert }, (request, response) => {
    void answer(vault, keys, request, response)
  })
  await listening(server)
  const tunnels = new Set<Socket>()
  const proxy = createProxy().on('connect', (_request, client: Socket) => {
    tunnels.add(client)
    client.on('close', () => tunnels.delete(client))
    const upstream = connect((server.address() as AddressInfo).port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      upstream.pipe(client).pipe(upstream)
    })
    upstream.on('error', () => client.destroy())
    client.on('error', () => upstream.destroy())
  })
  await listening(proxy)
  const vault: FakeKeyVault = {
    origin,
    proxyUrl: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    certificate: certificate.cert,
    requests: [],
    token: `token-${randomBytes(12).toString('hex')}`,
    takesToken: () => false,
    permitted: new Set(['get', 'wrapKey', 'unwrapKey']),
    answers: [],
    addVersion: (name) => {
      const versions = keys.get(name) ?? []
      keys.set(name, versions)
      const version = randomBytes(16).toString('hex')
      const url = `${origin}/keys/${name}/${version}`
      const state = { enabled: true, expires: null, operations: ['wrapKey', 'unwrapKey'] }
      const made: StoredVersion = { version, url, ...state, keys: keyPairOf(versions.length) }
      versions.push(made)
      return made
    },
    remove: (name) => move(keys, deleted, name),
    recover: (name) => move(deleted, keys, name),
    async [Symbol.asyncDispose]() {
      for (const tunnel of tunnels) tunnel.destroy()
      for (const one of [proxy, server]) {
        one.closeAllConnections()
        await new Promise((resolve) => one.close(resolve))
      }
    },
  }
  return vault
}

/** One for the process: two authorities of one name in its trust store would be mixed up. */
let made: ReturnType<typeof createCertificate> | null = null

const createCertificate = async () => {
  const certificate = await generate([{ name: 'commonName', value: host }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: host }] },
    ],
  })
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), certificate.cert])
  return certificate
}

const listening = (server: { listen(port: number, host: string, done: () => void): unknown }): Promise<void> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve()))

const move = (from: Map<string, StoredVersion[]>, to: Map<string, StoredVersion[]>, name: string): void => {
  const versions = from.get(name)
  if (versions !== undefined) to.set(name, versions)
  from.delete(name)
}

interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

const answer = async (
  vault: FakeKeyVault,
  keys: ReadonlyMap<string, readonly StoredVersion[]>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> => {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part)
  const planned = vault.answers.shift()
  if (planned === 'cut') return void request.socket.destroy()
  const { status, body, headers } =
    planned === undefined ? respond(vault, keys, request, Buffer.concat(parts)) : plannedAnswer(planned)
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers })
  response.end(JSON.stringify(body))
}

const plannedAnswer = ({ status, retryAfter }: { readonly status: number; readonly retryAfter?: string }): Answer => ({
  ...problem(status, status === 429 ? 'Throttled' : 'ServiceUnavailable', 'The request was not processed.'),
  headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter },
})

const respond = (
  vault: FakeKeyVault,
  keys: ReadonlyMap<string, readonly StoredVersion[]>,
  request: IncomingMessage,
  body: Buffer,
): Answer => {
  const token = request.headers.authorization?.replace(/^Bearer /, '') ?? ''
  if (token !== vault.token && !vault.takesToken(token)) return challenge
  const url = new URL(request.url ?? '', origin)
  vault.requests.push({ method: request.method ?? '', path: url.pathname })
  if (!/^(7\.\d|20\d\d-\d\d-\d\d)$/.test(url.searchParams.get('api-version') ?? ''))
    return problem(400, 'BadParameter', 'api-version must be specified')
  const [, collection, name = '', version = '', operation] = url.pathname.split('/')
  const versions = keys.get(name) ?? []
  const found = version === '' ? versions.at(-1) : versions.find((one) => one.version === version)
  if (collection !== 'keys') return problem(404, 'NotFound', 'There is no such resource.')
  if (request.method === 'GET' && operation === undefined) return getKey(vault, found, name)
  if (request.method === 'POST' && (operation === 'wrapkey' || operation === 'unwrapkey'))
    return useKey(vault, found, name, operation === 'wrapkey' ? 'wrapKey' : 'unwrapKey', body)
  return problem(405, 'MethodNotAllowed', 'The method is not allowed.')
}

/** The SDK asks first without a token and without a body, and takes tenant and audience from here. */
const challenge: Answer = {
  ...problem(401, 'Unauthorized', 'AKV10000: Request is missing a Bearer or PoP token.'),
  headers: {
    'www-authenticate': `Bearer authorization="https://login.microsoftonline.com/${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}", resource="https://vault.azure.net"`,
  },
}

const getKey = (vault: FakeKeyVault, found: StoredVersion | undefined, name: string): Answer => {
  if (!vault.permitted.has('get')) return forbidden
  if (found === undefined) return notFound(name)
  const { n, e } = found.keys.publicKey.export({ format: 'jwk' })
  const attributes = { enabled: found.enabled, ...(found.expires === null ? {} : { exp: found.expires }) }
  return { status: 200, body: { key: { kid: found.url, kty: 'RSA', key_ops: found.operations, n, e }, attributes } }
}

const useKey = (
  vault: FakeKeyVault,
  found: StoredVersion | undefined,
  name: string,
  operation: 'wrapKey' | 'unwrapKey',
  body: Buffer,
): Answer => {
  if (!vault.permitted.has(operation)) return forbidden
  if (found === undefined) return notFound(name)
  if (!found.operations.includes(operation))
    return problem(403, 'Forbidden', `Operation ${operation} is not permitted on this key.`, 'KeyOperationForbidden')
  // As the service does: what is disabled still wraps, what has expired still unwraps.
  if (operation === 'unwrapKey' && !found.enabled)
    return problem(403, 'Forbidden', `Operation ${operation} is not allowed on a disabled key.`, 'KeyDisabled')
  if (operation === 'wrapKey' && found.expires !== null && found.expires * 1000 <= Date.now())
    return problem(403, 'Forbidden', `Operation ${operation} is not allowed on an expired key.`, 'KeyExpired')
  const { alg, value } = JSON.parse(body.toString()) as { alg?: string; value?: string }
  if (alg !== 'RSA-OAEP-256' || value === undefined) return problem(400, 'BadParameter', 'Property has invalid value')
  const result = transform(found, operation, Buffer.from(value, 'base64url'))
  if (result === null) return problem(400, 'BadParameter', 'The parameter is incorrect.')
  return { status: 200, body: { kid: found.url, value: result.toString('base64url') } }
}

const transform = ({ keys }: StoredVersion, operation: 'wrapKey' | 'unwrapKey', value: Buffer): Buffer | null => {
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
  try {
    return operation === 'wrapKey'
      ? publicEncrypt({ key: keys.publicKey, ...padding }, value)
      : privateDecrypt({ key: keys.privateKey, ...padding }, value)
  } catch {
    return null
  }
}

function problem(status: number, code: string, message: string, inner?: string): Answer {
  return { status, body: { error: { code, message, ...(inner === undefined ? {} : { innererror: { code: inner } }) } } }
}

const forbidden = problem(
  403,
  'Forbidden',
  'Caller is not authorized to perform action on resource.',
  'ForbiddenByRbac',
)

const notFound = (name: string): Answer =>
  problem(404, 'KeyNotFound', `A key with (name/id) ${name} was not found in this key vault.`)
