import type { BindingMetadata } from './invocation.ts'
import type { RegisteredFunction } from './worker/messages.ts'

export type AuthLevel = 'anonymous' | 'function' | 'admin'

interface CatalogFunction {
  readonly name: string
  /** Name of the trigger's binding: what the trigger's value is delivered under. */
  readonly triggerName: string
  /** Names of the bindings that receive the Durable client. */
  readonly clientNames: readonly string[]
}

export interface HttpFunction extends CatalogFunction {
  readonly kind: 'http'
  /** Without the route prefix. */
  readonly route: string
  /** Upper case; never empty. */
  readonly methods: readonly string[]
  readonly authLevel: AuthLevel
}

export interface TimerFunction extends CatalogFunction {
  readonly kind: 'timer'
  readonly schedule: string
  readonly runOnStartup: boolean
  readonly useMonitor: boolean
}

interface DurableFunction extends CatalogFunction {
  readonly kind: 'orchestration' | 'activity'
}

/** One function of the app, as this host will serve it. */
export type HostedFunction = HttpFunction | TimerFunction | DurableFunction

/** Raised where the app asks for what this host does not have; the message names each function and says why. */
class UnsupportedAppError extends Error {
  override readonly name = 'UnsupportedAppError'
}

const isTrigger = (binding: BindingMetadata): boolean => /trigger$/i.test(binding.type)

const authLevelOf = (binding: BindingMetadata): AuthLevel => {
  const level = String(binding.authLevel ?? 'anonymous').toLowerCase()
  if (level === 'anonymous' || level === 'function' || level === 'admin') return level
  throw new UnsupportedAppError(`authLevel "${level}" is none of anonymous, function, admin`)
}

const httpFunction = (common: CatalogFunction, trigger: BindingMetadata): HttpFunction => {
  const route = typeof trigger.route === 'string' && trigger.route !== '' ? trigger.route : common.name
  const methods = Array.isArray(trigger.methods) ? trigger.methods.map((m) => String(m).toUpperCase()) : []
  return {
    ...common,
    kind: 'http',
    route: route.replace(/^\/+|\/+$/g, ''),
    methods: methods.length === 0 ? ['GET', 'POST'] : methods,
    authLevel: authLevelOf(trigger),
  }
}

const timerFunction = (common: CatalogFunction, trigger: BindingMetadata): TimerFunction => ({
  ...common,
  kind: 'timer',
  schedule: String(trigger.schedule ?? ''),
  runOnStartup: trigger.runOnStartup === true,
  useMonitor: trigger.useMonitor !== false,
})

const refuseOtherBindings = (bindings: readonly BindingMetadata[], hubName: string): void => {
  for (const binding of bindings) {
    const isClient = binding.direction === 'in' && binding.type === 'durableClient'
    const isHttpResponse = binding.direction === 'out' && binding.type === 'http' && binding.name === '$return'
    if (!isClient && !isHttpResponse) {
      throw new UnsupportedAppError(`its ${binding.direction} binding "${binding.type}" is not served here`)
    }
    const hub = binding.taskHub
    if (isClient && hub !== undefined && hub !== hubName) {
      throw new UnsupportedAppError(`its client names the task hub "${hub}", but this host has only "${hubName}"`)
    }
  }
}

const hostedFunction = (registered: RegisteredFunction, hubName: string): HostedFunction => {
  const trigger = registered.bindings.find(isTrigger)
  if (trigger === undefined) throw new UnsupportedAppError('it has no trigger')
  const others = registered.bindings.filter((binding) => binding !== trigger)
  refuseOtherBindings(others, hubName)
  if (registered.retries) {
    throw new UnsupportedAppError('it has a retry policy; retry in the function, or call it as an activity with retry')
  }
  const clients = others.filter(({ direction }) => direction === 'in')
  const common = { name: registered.name, triggerName: trigger.name, clientNames: clients.map(({ name }) => name) }
  switch (trigger.type) {
    case 'httpTrigger':
      return httpFunction(common, trigger)
    case 'timerTrigger':
      return timerFunction(common, trigger)
    case 'orchestrationTrigger':
      return { ...common, kind: 'orchestration' }
    case 'activityTrigger':
      return { ...common, kind: 'activity' }
    default:
      throw new UnsupportedAppError(
        `its trigger "${trigger.type}" is not served here, only HTTP, timer, orchestration and activity triggers are`,
      )
  }
}

/**
 * Reads what the app registered.
 * @returns one entry per function, in order of registration
 * @throws UnsupportedAppError listing every function that this host cannot serve, and an app without functions
 */
export const functionCatalog = (
  registered: readonly RegisteredFunction[],
  hubName: string,
): readonly HostedFunction[] => {
  const problems: string[] = []
  const functions: HostedFunction[] = []
  for (const one of registered) {
    try {
      functions.push(hostedFunction(one, hubName))
    } catch (error) {
      if (!(error instanceof UnsupportedAppError)) throw error
      problems.push(`Function "${one.name}" cannot be served: ${error.message}.`)
    }
  }
  if (registered.length === 0) problems.push('The app registered no functions.')
  if (problems.length > 0) throw new UnsupportedAppError(problems.join('\n'))
  return functions
}
