import { resourceNotFound } from './arm-error.ts'
import { type ArmRequest, param } from './arm-request.ts'
import type { EmulatorContext } from './emulator-context.ts'
import type { RecordKind, RecordKinds } from './records.ts'
import { computeId } from './resource-ids.ts'

/** The id that a request's path names below its resource group. @param segments type, parameter name, … */
export const requestedId = (request: ArmRequest, ...segments: readonly string[]): string =>
  computeId(
    param(request, 'subscriptionId'),
    param(request, 'resourceGroupName'),
    ...segments.map((segment, index) => (index % 2 === 0 ? segment : param(request, segment))),
  )

/** The resource of that id. @throws ArmError 404 `ResourceNotFound` */
export const findRecord = <K extends RecordKind>(context: EmulatorContext, kind: K, id: string): RecordKinds[K] => {
  const record = context.state.get(kind, id)
  if (record !== null) return record
  const [, , , resourceGroup = '', , , ...segments] = id.split('/').slice(1)
  throw resourceNotFound(`Microsoft.Compute/${segments.join('/')}`, resourceGroup)
}

/** Prefix of the ids of a type in the request's resource group, or of its whole subscription. */
export const listPrefix = (request: ArmRequest, type: string): string =>
  request.params.resourceGroupName === undefined
    ? `/subscriptions/${param(request, 'subscriptionId')}/`
    : `${computeId(param(request, 'subscriptionId'), request.params.resourceGroupName, type)}/`
