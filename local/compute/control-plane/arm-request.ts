import type { EmulatorContext } from './emulator-context.ts'
import type { Fault } from './faults.ts'

/** A request that has passed authentication, version, subscription and resource group checks. */
export interface ArmRequest {
  readonly operation: string
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** Decoded path parameters by their name in the route. */
  readonly params: Readonly<Record<string, string>>
  /** Parsed JSON; undefined for an empty body. */
  readonly body: unknown
  readonly apiVersion: string
  /** `https://127.0.0.1:port`, for the URLs of operations and next pages. */
  readonly origin: string
  readonly fault: Fault | null
}

/** What to answer. A body of undefined is an empty body. */
export interface ArmReply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

export interface Route {
  /** Name of the operation in the official specification. */
  readonly operation: string
  readonly method: 'GET' | 'PUT' | 'PATCH' | 'POST' | 'DELETE'
  /** Path template with `{parameters}`; literals are compared without case. */
  readonly path: string
  readonly service: 'compute' | 'disk'
  readonly handle: (context: EmulatorContext, request: ArmRequest) => ArmReply | Promise<ArmReply>
}

const subscriptionPath = '/subscriptions/{subscriptionId}/providers/Microsoft.Compute'
const groupPath = '/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Compute'

/** A route template below a subscription's provider. */
export const inSubscription = (rest: string): string => `${subscriptionPath}/${rest}`

/** A route template below a resource group's provider. */
export const inGroup = (rest: string): string => `${groupPath}/${rest}`

/** A path parameter that the route guarantees. */
export const param = (request: ArmRequest, name: string): string => {
  const value = request.params[name]
  if (value === undefined) throw new Error(`route of ${request.operation} has no parameter ${name}`)
  return value
}
