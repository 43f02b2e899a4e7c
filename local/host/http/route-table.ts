import type { HttpFunction } from '../function-catalog.ts'
import { byPrecedence, matchRoute, parseRouteTemplate } from './route-template.ts'

export interface RouteMatch {
  readonly hosted: HttpFunction
  readonly parameters: Readonly<Record<string, string>>
}

/**
 * All HTTP routes of an app, most special first; equal ones in order of registration.
 * @returns a lookup; null where no route takes this path with this method (the real host answers both with a bare 404)
 */
export const routeTable = (
  functions: readonly HttpFunction[],
  routePrefix: string,
): ((method: string, segments: readonly string[]) => RouteMatch | null) => {
  const routes = functions
    .map((hosted) => ({ hosted, template: parseRouteTemplate(`${routePrefix}/${hosted.route}`) }))
    .sort((a, b) => byPrecedence(a.template, b.template))
  return (method, segments) => {
    for (const { hosted, template } of routes) {
      if (!hosted.methods.includes(method)) continue
      const parameters = matchRoute(template, segments)
      if (parameters !== null) return { hosted, parameters }
    }
    return null
  }
}
