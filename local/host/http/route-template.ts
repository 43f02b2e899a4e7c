/**
 * Route templates of HTTP triggers: ASP.NET Core's syntax, as far as `{id}`, `{id?}`, `{id:int}` and `{*rest}` go.
 * Source: ASP.NET Core docs, "Routing", and the Functions docs, "Customize the HTTP endpoint".
 */
export interface RouteTemplate {
  readonly text: string
  readonly segments: readonly Segment[]
}

type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | {
      readonly kind: 'parameter' | 'catchAll'
      readonly name: string
      readonly optional: boolean
      readonly constraints: readonly Constraint[]
    }

type Constraint = (value: string) => boolean

const constraintOf = (text: string): Constraint | null => {
  const [, name, argument] = /^(\w+)(?:\((\d+)\))?$/.exec(text) ?? []
  switch (name) {
    case 'int':
      return (value) => /^[+-]?\d+$/.test(value) && Math.abs(Number(value)) <= 2 ** 31 - 1
    case 'long':
      return (value) => /^[+-]?\d{1,19}$/.test(value)
    case 'bool':
      return (value) => /^(true|false)$/i.test(value)
    case 'guid':
      return (value) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)
    case 'alpha':
      return (value) => /^[a-z]*$/i.test(value)
    case 'minlength':
      return argument === undefined ? null : (value) => value.length >= Number(argument)
    case 'maxlength':
      return argument === undefined ? null : (value) => value.length <= Number(argument)
    default:
      return null
  }
}

const parameterOf = (inner: string, template: string): Segment => {
  const match = /^(\*{0,2})(\w+)((?::[^:?=]+)*)(\??)$/.exec(inner)
  if (match === null)
    throw new Error(`Route "${template}": "{${inner}}" is not a parameter that this host understands.`)
  const [, stars, name, constraintText, optional] = match
  const constraints = constraintText!
    .split(':')
    .slice(1)
    .map((text) => {
      const constraint = constraintOf(text)
      if (constraint === null) throw new Error(`Route "${template}": this host has no constraint "${text}".`)
      return constraint
    })
  return { kind: stars === '' ? 'parameter' : 'catchAll', name: name!, optional: optional === '?', constraints }
}

/** Parses a template; throws, naming it, where it uses what this host does not understand. */
export const parseRouteTemplate = (text: string): RouteTemplate => {
  const parts = text.split('/').filter((part) => part !== '')
  const segments = parts.map((part): Segment => {
    if (!/[{}]/.test(part)) return { kind: 'literal', text: part }
    const inner = /^\{([^{}]*)\}$/.exec(part)?.[1]
    if (inner === undefined) throw new Error(`Route "${text}": "${part}" mixes text and parameters in one segment.`)
    return parameterOf(inner, text)
  })
  const early = segments.slice(0, -1).find((segment) => segment.kind === 'catchAll' || isOptional(segment))
  if (early !== undefined) throw new Error(`Route "${text}": only the last segment can be optional or take the rest.`)
  return { text, segments }
}

const isOptional = (segment: Segment): boolean => segment.kind !== 'literal' && segment.optional

const accepts = (segment: Segment, value: string): boolean =>
  segment.kind === 'literal'
    ? segment.text.toLowerCase() === value.toLowerCase()
    : segment.constraints.every((constraint) => constraint(value))

/** Matches path segments, decoded, against a template; literals without case.
 * @returns the parameters that have a value, or null where the path is not of this route */
export const matchRoute = (template: RouteTemplate, path: readonly string[]): Record<string, string> | null => {
  const parameters: Record<string, string> = {}
  for (const [index, segment] of template.segments.entries()) {
    const rest = segment.kind === 'catchAll'
    const value = rest ? path.slice(index).join('/') : path[index]
    if (value === undefined || (rest && value === '')) {
      if (rest || isOptional(segment)) return parameters
      return null
    }
    if (!accepts(segment, value)) return null
    if (segment.kind !== 'literal') parameters[segment.name] = value
    if (rest) return parameters
  }
  return path.length > template.segments.length ? null : parameters
}

/** Rank of one segment: literals first, then constrained parameters, parameters, and the rest of the path. */
const rankOf = (segment: Segment): number => {
  if (segment.kind === 'literal') return 1
  const constrained = segment.constraints.length > 0
  return segment.kind === 'parameter' ? (constrained ? 2 : 3) : constrained ? 4 : 5
}

/** Orders templates by precedence: segment by segment, the more special first. Source: ASP.NET Core, RoutePrecedence. */
export const byPrecedence = (a: RouteTemplate, b: RouteTemplate): number => {
  const common = Math.min(a.segments.length, b.segments.length)
  for (let index = 0; index < common; index += 1) {
    const difference = rankOf(a.segments[index]!) - rankOf(b.segments[index]!)
    if (difference !== 0) return difference
  }
  return a.segments.length - b.segments.length
}
