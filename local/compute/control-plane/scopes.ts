import { ArmError } from './arm-error.ts'
import type { EmulatorState } from './state.ts'

/** Where resources may lie: the subscriptions and their resource groups, as the fleet file names them. */
export interface Scope {
  readonly subscriptionId: string
  readonly resourceGroups: readonly { readonly name: string; readonly location: string }[]
}

/** Remembers the subscription and its groups; earlier groups stay, since resources may lie in them. */
export const saveScope = (state: EmulatorState, scope: Scope): void => {
  const known = readScope(state, scope.subscriptionId)?.resourceGroups ?? []
  const names = new Set(scope.resourceGroups.map(({ name }) => name.toLowerCase()))
  const merged = [...scope.resourceGroups, ...known.filter(({ name }) => !names.has(name.toLowerCase()))]
  state.setFact(factName(scope.subscriptionId), JSON.stringify({ ...scope, resourceGroups: merged }))
}

/** @throws ArmError 400 for no GUID, 404 `SubscriptionNotFound` or `ResourceGroupNotFound` */
export const requireScope = (state: EmulatorState, subscriptionId: string, resourceGroup: string | undefined): void => {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(subscriptionId))
    throw new ArmError({
      status: 400,
      code: 'InvalidSubscriptionId',
      message: `The provided subscription identifier '${subscriptionId.slice(0, 100)}' is malformed or invalid.`,
    })
  const scope = readScope(state, subscriptionId)
  if (scope === null)
    throw new ArmError({
      status: 404,
      code: 'SubscriptionNotFound',
      message: `The subscription '${subscriptionId}' could not be found.`,
    })
  if (resourceGroup === undefined) return
  if (!scope.resourceGroups.some(({ name }) => name.toLowerCase() === resourceGroup.toLowerCase()))
    throw new ArmError({
      status: 404,
      code: 'ResourceGroupNotFound',
      message: `Resource group '${resourceGroup.slice(0, 100)}' could not be found.`,
    })
}

const factName = (subscriptionId: string): string => `scope ${subscriptionId.toLowerCase()}`

const readScope = (state: EmulatorState, subscriptionId: string): Scope | null =>
  JSON.parse(state.getFact(factName(subscriptionId)) ?? 'null')
