import type { HttpRequest, HttpResponseInit } from '@azure/functions'
import { allMethods, registeredEndpoints } from './endpoint.ts'
import { problemResponse } from './problem.ts'

/** Every address below the prefix that no other function has. Hosts try literal parts first, then parameters, then this: its place among the functions
 * does not matter. */
export const unknownRoute = { name: 'unknownRoute', route: '{*path}', methods: allMethods } as const

/** 404 with all the routes that there are. */
export const answerUnknownRoute = (request: Pick<HttpRequest, 'method'>): HttpResponseInit => {
  const routes = registeredEndpoints()
    .map(({ route, methods }) => ({ route, methods: Object.keys(methods) }))
    .sort((one, other) => one.route.localeCompare(other.route))
  const detail = 'Nothing is at this address.'
  const fix = 'Take one of the routes that this answer lists; each lies below the same prefix.'
  return problemResponse({
    status: 404,
    code: 'unknown-route',
    title: 'There is no such address.',
    detail: `${detail} ${request.method} reached no function. ${fix}`,
    errors: [{ field: 'path', detail, fix }],
    more: { routes },
  })
}
