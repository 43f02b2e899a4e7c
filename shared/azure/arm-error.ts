import type { Failed, Pending } from '../domain/job-ref.ts'

/** Why a request to Azure Resource Manager failed: all but `refused` may be cured by another try. */
export type ArmFault =
  | { readonly code: 'throttled'; readonly retryAfterSeconds: number }
  | { readonly code: 'unreachable'; readonly detail: string }
  | { readonly code: 'server-fault'; readonly status: number; readonly serviceCode: string }
  | { readonly code: 'no-token' }
  | { readonly code: 'refused'; readonly reason: string; readonly hint: string }

/** Where a call has no answer for `pending` and `failed`: what is to be thrown instead.
 * @returns an error whose fault is `throttled` or `refused` */
export const thrownInstead = (answer: Pending | Failed): ArmError =>
  answer.kind === 'pending'
    ? new ArmError({ code: 'throttled', retryAfterSeconds: answer.retryAfterSeconds })
    : new ArmError({ code: 'refused', reason: answer.reason, hint: answer.hint })

/** Thrown where the port has no other answer; a retry policy repeats the step. Never holds a URL or a token. */
export class ArmError extends Error {
  override readonly name = 'ArmError'
  readonly fault: ArmFault
  constructor(fault: ArmFault) {
    super(explain(fault))
    this.fault = fault
  }
}

const explain = (fault: ArmFault): string => {
  switch (fault.code) {
    case 'throttled':
      return `Azure Resource Manager is throttling; it asks to wait ${fault.retryAfterSeconds} s. The step is repeated.`
    case 'unreachable':
      return `Azure Resource Manager does not answer (${fault.detail}). Check the network of the function app and AZURE_RESOURCE_MANAGER_ENDPOINT.`
    case 'server-fault':
      return `Azure Resource Manager failed with ${fault.status} ${fault.serviceCode}. The step is repeated.`
    case 'no-token':
      return 'No token for Azure Resource Manager could be had. Enable the managed identity of the function app, or sign in with the Azure CLI.'
    case 'refused':
      return `Azure Resource Manager refused a request (${fault.reason}). ${fault.hint}`
    default:
      return fault satisfies never
  }
}
