import type { Fault } from './faults.ts'
import type { JsonObject, OperationRecord } from './records.ts'

/** What an operation takes from the request that begins it. */
export interface AcceptedRequest {
  readonly operation: string
  readonly fault: Fault | null
}

/** What an operation is to do, and to which resource. */
export interface OperationStart {
  readonly action: string
  readonly service: 'compute' | 'disk'
  readonly subscriptionId: string
  readonly location: string
  readonly resourceId: string
  readonly input: JsonObject
}

/** Runs long-running operations, those of one resource one after the other. */
export interface OperationRunner {
  /** Records the operation and starts it. Call it in the transaction that makes its effects visible. */
  begin(request: AcceptedRequest, start: OperationStart): OperationRecord
  /** Takes up every operation that a kill left in progress. */
  resume(): void
  /** Lets no operation write any more and waits until their work has stopped. */
  stop(): Promise<void>
}
