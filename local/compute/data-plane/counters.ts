/** Operations of the data plane, by the names of the REST documentation. */
export type Operation = 'GetBlob' | 'GetBlobProperties' | 'GetPageRanges' | 'PutPage' | 'Other'

export interface OperationCount {
  readonly requests: number
  /** Requests answered with a status of 400 or above, or cut off. */
  readonly failed: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** What the data plane has served since it started or was reset: plain data, also at `GET /_emulator/counters`. */
export interface DataPlaneCounts {
  readonly operations: Readonly<Record<Operation, OperationCount>>
  /** Get Page Ranges requests that carried `x-ms-previous-snapshot-url`. */
  readonly previousSnapshotRequests: number
  /** Get Page Ranges requests that carried a marker. */
  readonly markerRequests: number
  readonly connections: number
  /** Most requests that were being answered at one moment. */
  readonly concurrentRequestsMax: number
}

export interface Counters {
  read(): DataPlaneCounts
  reset(): void
  connected(): void
  /** Called when a request arrives; the answer is to be called when it has been answered. */
  begin(): (request: {
    readonly operation: Operation
    readonly isFailed: boolean
    readonly bytesIn: number
    readonly bytesOut: number
    readonly hasPreviousSnapshot: boolean
    readonly hasMarker: boolean
  }) => void
}

export const createCounters = (): Counters => {
  let counts = zeroCounts()
  let concurrent = 0
  return {
    read: () => counts,
    reset() {
      counts = zeroCounts()
    },
    connected() {
      counts = { ...counts, connections: counts.connections + 1 }
    },
    begin() {
      concurrent += 1
      counts = { ...counts, concurrentRequestsMax: Math.max(counts.concurrentRequestsMax, concurrent) }
      return (request) => {
        concurrent -= 1
        const before = counts.operations[request.operation]
        const after: OperationCount = {
          requests: before.requests + 1,
          failed: before.failed + Number(request.isFailed),
          bytesIn: before.bytesIn + request.bytesIn,
          bytesOut: before.bytesOut + request.bytesOut,
        }
        counts = {
          ...counts,
          operations: { ...counts.operations, [request.operation]: after },
          previousSnapshotRequests: counts.previousSnapshotRequests + Number(request.hasPreviousSnapshot),
          markerRequests: counts.markerRequests + Number(request.hasMarker),
        }
      }
    },
  }
}

const zeroCounts = (): DataPlaneCounts => {
  const zero = { requests: 0, failed: 0, bytesIn: 0, bytesOut: 0 }
  return {
    operations: { GetBlob: zero, GetBlobProperties: zero, GetPageRanges: zero, PutPage: zero, Other: zero },
    previousSnapshotRequests: 0,
    markerRequests: 0,
    connections: 0,
    concurrentRequestsMax: 0,
  }
}
