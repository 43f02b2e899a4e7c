import { ArmError } from './arm-error.ts'
import type { Route } from './arm-request.ts'

/** The api-versions that the official SDK sends (arm-compute 25.1.1): one for VMs and restore points, one for disks. */
const apiVersions = { compute: '2026-04-01', disk: '2026-03-02' } as const

export interface Match {
  readonly route: Route
  readonly params: Readonly<Record<string, string>>
}

type Matcher = (method: string, path: string) => Match

/** Finds the route of a request.
 * The matcher throws ArmError: 400 for a path that cannot be decoded, 404 `InvalidResourceType`, 405 where only the method
 * is wrong, 501 for a part of Microsoft.Compute that is not emulated */
export const createRouter = (routes: readonly Route[]): Matcher => {
  const compiled = routes.map((route) => ({ route, parts: route.path.split('/').slice(1) }))
  return (method, path) => {
    const segments = decoded(path)
    const fitting = compiled
      .map(({ route, parts }) => ({ route, params: matched(parts, segments) }))
      .filter((match): match is Match => match.params !== null)
    const found = fitting.find(({ route }) => route.method === method)
    if (found !== undefined) return found
    if (fitting.length > 0)
      throw new ArmError({
        status: 405,
        code: 'MethodNotAllowed',
        message: `The requested resource does not support http method '${method}'.`,
        headers: { Allow: fitting.map(({ route }) => route.method).join(', ') },
      })
    throw unknownPath(segments)
  }
}

const decoded = (path: string): string[] => {
  try {
    return path.split('/').slice(1).map(decodeURIComponent)
  } catch {
    throw new ArmError({ status: 400, code: 'BadRequest', message: 'The request path is not properly encoded.' })
  }
}

const matched = (parts: readonly string[], segments: readonly string[]): Record<string, string> | null => {
  if (parts.length !== segments.length) return null
  const params: Record<string, string> = {}
  for (const [index, part] of parts.entries()) {
    const segment = segments[index] ?? ''
    const parameter = /^\{(\w+)\}$/.exec(part)?.[1]
    if (parameter !== undefined) {
      if (segment === '') return null
      params[parameter] = segment
    } else if (part.toLowerCase() !== segment.toLowerCase()) return null
  }
  return params
}

const unknownPath = (segments: readonly string[]): ArmError => {
  const provider = segments.findIndex((segment) => segment.toLowerCase() === 'providers')
  const namespace = segments[provider + 1]
  if (provider >= 0 && namespace?.toLowerCase() === 'microsoft.compute')
    return new ArmError({
      status: 501,
      code: 'NotImplemented',
      message: `This emulator does not serve '${segments
        .slice(provider + 2)
        .join('/')
        .slice(0, 200)}' of Microsoft.Compute.`,
    })
  return new ArmError({
    status: 404,
    code: 'InvalidResourceType',
    message: 'The resource type could not be found: this emulator serves Microsoft.Compute only.',
  })
}

/** The api-version of a request. A URL of an operation's status may carry either version.
 * @throws ArmError 400 `MissingApiVersionParameter`, `InvalidApiVersionParameter` or `NoRegisteredProviderFound` */
export const requireApiVersion = (query: URLSearchParams, route: Route): string => {
  const version = query.get('api-version')
  if (version === null || version === '')
    throw new ArmError({
      status: 400,
      code: 'MissingApiVersionParameter',
      message: 'The api-version query parameter (?api-version=) is required for all requests.',
    })
  if (!/^\d{4}-\d{2}-\d{2}(-\w+)?$/.test(version))
    throw new ArmError({
      status: 400,
      code: 'InvalidApiVersionParameter',
      message: `The api-version '${version.slice(0, 50)}' is invalid. It must be a date such as '${apiVersions[route.service]}'.`,
    })
  if (version !== apiVersions[route.service])
    throw new ArmError({
      status: 400,
      code: 'NoRegisteredProviderFound',
      message: `No registered resource provider found for API version '${version}' of ${route.operation}. The supported api-versions are '${apiVersions[route.service]}'.`,
    })
  return version
}
