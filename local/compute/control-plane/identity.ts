import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { ArmError } from './arm-error.ts'
import type { EmulatorState } from './state.ts'

/** How long a token is good. */
const tokenSeconds = 24 * 3600

/** The managed-identity endpoint of App Service (api-version 2019-08-01) and the tokens that it gives. */
export interface Identity {
  /** What IDENTITY_HEADER must hold. */
  readonly header: string
  /** Answers `GET …?api-version=2019-08-01&resource=…` with its X-IDENTITY-HEADER. */
  answer(query: URLSearchParams, header: string | undefined): { readonly status: number; readonly body: unknown }
  /** Takes the value of an Authorization header. @throws ArmError 401 where it holds no token that is good now */
  require(authorization: string | undefined): void
}

/** The secret lives in the state, so tokens and header outlive a restart. */
export const createIdentity = (state: EmulatorState, nowMs: () => number): Identity => {
  const key = secret(state, 'token key')
  const header = secret(state, 'identity header')
  const tokens = createTokens(key, nowMs)
  return {
    header,
    answer: (query, given) => {
      if (given === undefined || !same(given, header)) return refusal(401, 'The X-IDENTITY-HEADER is missing or wrong.')
      if (query.get('api-version') !== '2019-08-01') return refusal(400, 'The api-version must be 2019-08-01.')
      const resource = query.get('resource')
      if (resource === null || !/^https:\/\/[^/]+\/?$/.test(resource))
        return refusal(400, 'The resource must be an https URL.')
      const { token, expiresOn } = tokens.issue(resource)
      const body = {
        access_token: token,
        expires_on: String(expiresOn),
        resource,
        token_type: 'Bearer',
        client_id: '00000000-0000-0000-0000-00000000c1c1',
      }
      return { status: 200, body }
    },
    require: (authorization) => {
      const token = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1]
      if (token === undefined)
        throw unauthorized('AuthenticationFailed', "Authentication failed. The 'Authorization' header is missing.")
      tokens.check(token)
    },
  }
}

/** Tokens that only this emulator makes and takes: signed claims in the form of a JWT. */
const createTokens = (key: string, nowMs: () => number) => {
  const sign = (text: string): string => createHmac('sha256', key).update(text).digest('base64url')
  const issue = (resource: string): { token: string; expiresOn: number } => {
    const expiresOn = Math.floor(nowMs() / 1000) + tokenSeconds
    const claims = {
      aud: resource,
      iss: 'local-compute-emulator',
      exp: expiresOn,
      oid: '00000000-0000-0000-0000-00000000d1d1',
    }
    const body = `${base64url({ typ: 'JWT', alg: 'HS256' })}.${base64url(claims)}`
    return { token: `${body}.${sign(body)}`, expiresOn }
  }
  const check = (token: string): void => {
    const [head, claims, signature = ''] = token.split('.')
    if (!same(signature, sign(`${head}.${claims}`)))
      throw unauthorized('InvalidAuthenticationToken', 'The access token is invalid.')
    const { exp } = JSON.parse(Buffer.from(claims ?? '', 'base64url').toString()) as { exp: number }
    if (exp * 1000 <= nowMs()) throw unauthorized('ExpiredAuthenticationToken', 'The access token has expired.')
  }
  return { issue, check }
}

const secret = (state: EmulatorState, name: string): string => {
  const known = state.getFact(name)
  if (known !== null) return known
  const made = randomBytes(32).toString('hex')
  state.setFact(name, made)
  return made
}

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

const same = (given: string, expected: string): boolean => {
  const [left, right] = [Buffer.from(given), Buffer.from(expected)]
  return left.length === right.length && timingSafeEqual(left, right)
}

const refusal = (status: number, message: string) => ({ status, body: { statusCode: status, message } })

const unauthorized = (code: string, message: string): ArmError =>
  new ArmError({
    status: 401,
    code,
    message,
    headers: { 'WWW-Authenticate': `Bearer error="invalid_token", error_description="${message}"` },
  })
