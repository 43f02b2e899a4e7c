import { describe, expect, it } from 'vitest'
import type { HttpFunction } from '../../../../local/host/function-catalog.ts'
import { parseRequestTarget } from '../../../../local/host/http/request-target.ts'
import { routeTable } from '../../../../local/host/http/route-table.ts'
import { matchRoute, parseRouteTemplate } from '../../../../local/host/http/route-template.ts'

const match = (template: string, path: string) =>
  matchRoute(parseRouteTemplate(template), parseRequestTarget(path).segments)

const http = (name: string, route: string, methods = ['GET']): HttpFunction => ({
  kind: 'http',
  name,
  triggerName: 'request',
  clientNames: [],
  route,
  methods,
  authLevel: 'anonymous',
})

describe('a route template', () => {
  it.each([
    ['api/jobs/{id}', '/api/jobs/7', { id: '7' }],
    ['api/jobs/{id}', '/API/Jobs/7/', { id: '7' }],
    ['api/jobs/{id?}', '/api/jobs', {}],
    ['api/jobs/{id:int}', '/api/jobs/-12', { id: '-12' }],
    ['api/jobs/{id:int}', '/api/jobs/x', null],
    ['api/jobs/{id:int}', '/api/jobs/2147483648', null],
    [
      'api/jobs/{id:guid}',
      '/api/jobs/0b0c4d3e-0000-4000-8000-00000000000a',
      { id: '0b0c4d3e-0000-4000-8000-00000000000a' },
    ],
    ['api/jobs/{id:minlength(2):maxlength(3)}', '/api/jobs/abcd', null],
    ['api/files/{*rest}', '/api/files/a/b%20c/d', { rest: 'a/b c/d' }],
    ['api/files/{*rest}', '/api/files', {}],
    ['api/jobs/{id}', '/api/jobs', null],
    ['api/jobs/{id}', '/api/jobs/7/8', null],
  ])('%s takes %s as %j', (template, path, parameters) => {
    expect(match(template, path)).toEqual(parameters)
  })

  it.each([
    ['api/{a}-{b}', /mixes text/],
    ['api/{id:datetime}', /no constraint "datetime"/],
    ['api/{id=5}', /not a parameter/],
    ['api/{id?}/more', /only the last segment/],
    ['api/{*rest}/more', /only the last segment/],
  ])('%s is refused', (template, message) => {
    expect(() => parseRouteTemplate(template)).toThrow(message)
  })
})

describe('a request target', () => {
  it('resolves dot segments before routing, also where they are encoded', () => {
    expect(parseRequestTarget('/api/jobs/%2e%2e/admin/./x').segments).toEqual(['api', 'admin', 'x'])
  })

  it('never climbs above the root', () => {
    expect(parseRequestTarget('/../../api').segments).toEqual(['api'])
  })

  it('leaves %2F and broken escapes as they are written', () => {
    expect(parseRequestTarget('/api/a%2Fb/%zz/%41').segments).toEqual(['api', 'a%2Fb', '%zz', 'A'])
  })

  it('may be absolute', () => {
    const target = parseRequestTarget('http://host:1/api/x?q=1')
    expect([target.segments, target.pathAndQuery, target.query.get('q')]).toEqual([['api', 'x'], '/api/x?q=1', '1'])
  })
})

describe('a route table', () => {
  const find = routeTable(
    [
      http('rest', '{*rest}'),
      http('byName', 'jobs/{id}'),
      http('byNumber', 'jobs/{id:int}'),
      http('latest', 'jobs/latest'),
      http('start', 'jobs/{id}', ['POST']),
    ],
    'api',
  )
  const nameOf = (method: string, path: string) => find(method, parseRequestTarget(path).segments)?.hosted.name ?? null

  it.each([
    ['GET', '/api/jobs/latest', 'latest'],
    ['GET', '/api/jobs/12', 'byNumber'],
    ['GET', '/api/jobs/x', 'byName'],
    ['POST', '/api/jobs/latest', 'start'],
    ['GET', '/api/other/thing', 'rest'],
    ['DELETE', '/api/jobs/x', null],
    ['GET', '/jobs/x', null],
  ])('sends %s %s to %s', (method, path, name) => {
    expect(nameOf(method, path)).toBe(name)
  })

  it('may have no prefix', () => {
    expect(routeTable([http('a', 'a')], '')('GET', ['a'])?.hosted.name).toBe('a')
  })
})
