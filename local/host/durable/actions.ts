/** Actions that an orchestrator answers with: numbers of the out-of-process protocol, schema 3. */
export const actionType = {
  callActivity: 0,
  callActivityWithRetry: 1,
  callSubOrchestrator: 2,
  callSubOrchestratorWithRetry: 3,
  continueAsNew: 4,
  createTimer: 5,
  waitForExternalEvent: 6,
  callEntity: 7,
  callHttp: 8,
  signalEntity: 9,
  whenAny: 11,
  whenAll: 12,
  lockEntities: 13,
  releaseEntities: 14,
} as const

export interface RetryOptions {
  readonly firstRetryIntervalInMilliseconds: number
  readonly maxNumberOfAttempts: number
  readonly backoffCoefficient?: number
  readonly maxRetryIntervalInMilliseconds?: number
  readonly retryTimeoutInMilliseconds?: number
}

/** One action; which fields are present depends on `actionType`. */
export interface Action {
  readonly actionType: number
  readonly functionName?: string
  readonly instanceId?: string | null
  readonly input?: unknown
  readonly retryOptions?: RetryOptions
  readonly fireAt?: string
  readonly isCanceled?: boolean
  readonly externalEventName?: string
  readonly compoundActions?: readonly Action[]
}

/** Task.any or Task.all. */
export const isCompound = (action: Action): boolean =>
  action.actionType === actionType.whenAny || action.actionType === actionType.whenAll

/** The action and, depth first in the library's own order of numbering, all actions inside it; compounds themselves too. */
export function* flatten(actions: readonly Action[]): Generator<Action> {
  for (const action of actions) {
    yield action
    if (action.compoundActions) yield* flatten(action.compoundActions)
  }
}

/** What the engine does not do, by action number; an orchestrator that asks for it is failed with this name. */
export const unsupportedFeatures: Readonly<Record<number, string>> = {
  [actionType.callEntity]: 'calling an entity',
  [actionType.signalEntity]: 'signalling an entity',
  [actionType.callHttp]: 'callHttp',
  [actionType.lockEntities]: 'entity locks',
  [actionType.releaseEntities]: 'entity locks',
}
