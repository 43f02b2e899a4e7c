import type { HttpMethod, HttpRequest, HttpResponseInit, InvocationContext } from '@azure/functions'
import * as df from 'durable-functions'
import type { JobInstances } from '../../shared/jobs/job-instances.ts'
import { safeMessage } from '../../shared/jobs/step-failure.ts'
import { durableInstances } from '../durable-instances.ts'
import { ConfigurationError, type Services, services } from '../services.ts'
import { type Events, eventsIn } from '../told-events.ts'
import { type Problem, ProblemError, problemResponse } from './problem.ts'

/** What a handler works with. */
export interface Call {
  readonly request: HttpRequest
  readonly deps: Services & { readonly instances: JobInstances }
  readonly events: Events
  /** The URLs of the Durable management API for an instance. */
  readonly management: (instanceId: string) => Promise<Readonly<Record<string, string>>>
}

/** Answers one request; what it throws is told as a problem document. */
export type Handler = (call: Call) => Promise<HttpResponseInit>

/** One route with the methods that it knows. */
export interface Endpoint {
  readonly name: string
  readonly route: string
  readonly methods: Readonly<Partial<Record<'GET' | 'POST', Handler>>>
}

/** The host answers a method that is not registered with a bare 404, so all are, and this app answers 405 itself. */
export const allMethods: readonly HttpMethod[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

const registered: Endpoint[] = []

/** All endpoints of the app, in the order in which its files were loaded. */
export const registeredEndpoints = (): readonly Endpoint[] => registered

/** Registers an endpoint; a Functions host that is not there learns of nothing. */
export const registerEndpoint = (endpoint: Endpoint): void => {
  registered.push(endpoint)
  df.app.client.http(endpoint.name, {
    route: endpoint.route,
    methods: [...allMethods],
    authLevel: 'function',
    handler: (request, client, context) =>
      answer(endpoint, request, context, () => ({
        request,
        deps: { ...services(), instances: durableInstances(client) },
        events: eventsIn(context),
        management: async (instanceId) =>
          (await client.createCheckStatusResponse(request, instanceId).json()) as Record<string, string>,
      })),
  })
}

/** Runs the handler of the request's method. Every failure becomes a problem; what nobody expected is logged. */
export const answer = async (
  endpoint: Endpoint,
  request: HttpRequest,
  context: Pick<InvocationContext, 'error' | 'invocationId'>,
  call: () => Call,
): Promise<HttpResponseInit> => {
  try {
    const handler = endpoint.methods[request.method as 'GET' | 'POST']
    if (handler === undefined) throw new ProblemError(wrongMethod(endpoint, request.method))
    return await handler(call())
  } catch (error) {
    if (error instanceof ProblemError) return problemResponse(error.problem)
    context.error(`${endpoint.name}: ${safeMessage(error)}`)
    return problemResponse(error instanceof ConfigurationError ? notConfigured(error) : unexpected(error, context))
  }
}

const wrongMethod = ({ methods, route }: Endpoint, method: string): Problem => {
  const allow = Object.keys(methods).join(', ')
  return {
    status: 405,
    code: 'wrong-method',
    title: 'The method does not fit the address.',
    detail: `/${route} knows ${allow}, not ${method}. Use ${allow}.`,
    errors: [{ field: 'method', detail: `${method} is not known here.`, fix: `Use ${allow}.` }],
    headers: { allow },
  }
}

const notConfigured = ({ problems }: ConfigurationError): Problem => ({
  status: 503,
  code: 'not-configured',
  title: 'The app is not set up.',
  detail: 'Settings of the function app are missing or wrong. Correct them; the app reads them again.',
  errors: problems.map(({ setting, problem, fix }) => ({ field: setting, detail: `It ${problem}.`, fix })),
})

const unexpected = (error: unknown, context: Pick<InvocationContext, 'invocationId'>): Problem => ({
  status: 500,
  code: 'internal-error',
  title: 'The request could not be carried out.',
  detail: `${safeMessage(error)} Look for invocation ${context.invocationId} in the log of the function app.`,
  hint: 'Send the request again; if it fails again, look into the log of the function app.',
})

/** A response with a JSON body. */
export const json = (
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): HttpResponseInit => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
})
