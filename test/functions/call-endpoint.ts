import { HttpRequest } from '@azure/functions'
import { answer, type Endpoint } from '../../functions/http/endpoint.ts'
import { eventsIn } from '../../functions/told-events.ts'
import type { FakeWorld, fakeInstances } from '../jobs/world.ts'

/** What an endpoint answered. */
export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Record<string, unknown>
  readonly logged: readonly string[]
  /** Business events. */
  readonly told: readonly string[]
}

export interface Asked {
  readonly method?: string
  readonly path?: string
  readonly params?: Record<string, string>
  readonly query?: Record<string, string>
  readonly headers?: Record<string, string>
  /** Text as it is, or an object as JSON. */
  readonly body?: unknown
}

/** Asks an endpoint as the host would: a real HttpRequest, the route's parameters, the app's services in memory. */
export const ask = async (
  endpoint: Endpoint,
  world: FakeWorld,
  instances: ReturnType<typeof fakeInstances>,
  asked: Asked,
): Promise<Answered> => {
  const { method = 'POST', path = endpoint.route, params = {}, query = {}, headers = {}, body } = asked
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
  const request = new HttpRequest({
    method,
    url: `http://app.invalid/api/${path}?code=KEY`,
    params,
    query,
    headers,
    ...(text === undefined ? {} : { body: { string: text } }),
  })
  const logged: string[] = []
  const told: string[] = []
  const tell = (...parts: unknown[]) => void told.push(parts.join(' '))
  const context = { error: (...parts: unknown[]) => void logged.push(parts.join(' ')), invocationId: 'i-1' }
  const response = await answer(endpoint, request, context, () => ({
    request,
    deps: {
      ...world,
      instances,
      subscriptionIds: ['00000000-0000-0000-0000-000000000001'],
      windowHours: 24,
      attemptsMax: 5,
    },
    events: eventsIn({ log: tell, warn: tell, error: tell }),
    management: async (id) => ({
      id,
      statusQueryGetUri: `http://app.invalid/runtime/webhooks/durabletask/instances/${id}`,
    }),
  }))
  return {
    status: response.status ?? 200,
    headers: response.headers as Record<string, string>,
    body: JSON.parse(response.body as string) as Record<string, unknown>,
    logged,
    told,
  }
}
