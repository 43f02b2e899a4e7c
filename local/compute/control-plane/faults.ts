import * as v from 'valibot'

/** A fault to come: what goes wrong, at which operation, how often. */
export const faultSchema = v.strictObject({
  /** Name of the operation as the specification has it (`Disks_GrantAccess`), or `*` for any. */
  operation: v.string(),
  /** Only requests whose path contains this text, without case. */
  resource: v.optional(v.string()),
  /** How many requests it hits. */
  times: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 1),
  /** How many matching requests pass before it starts. */
  skip: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 0),
  /** Delay before anything else happens. */
  latencyMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(600_000)), 0),
  /** Answer with this status instead: before the request takes effect, or after it (`afterEffect`). */
  status: v.optional(v.pipe(v.number(), v.integer(), v.minValue(400), v.maxValue(599))),
  code: v.optional(v.string(), 'InternalServerError'),
  message: v.optional(v.string(), 'An emulated fault.'),
  retryAfterSeconds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  afterEffect: v.optional(v.boolean(), false),
  /** Close the connection without an answer, at the same moments. */
  dropConnection: v.optional(v.boolean(), false),
  /** Accept the request, but let the operation end as Failed with this error. */
  failOperation: v.optional(v.strictObject({ code: v.string(), message: v.string() })),
  /** A restore point of a Windows VM: VSS fails, so the point is only file-system-consistent, as are the next three. */
  vssWriterFailure: v.optional(v.boolean(), false),
})

export type Fault = v.InferOutput<typeof faultSchema>
export type FaultInput = v.InferInput<typeof faultSchema>

/** Faults waiting for their request. */
export interface FaultPlan {
  add(fault: FaultInput): void
  clear(): void
  /** Faults not used up yet, with what is left of `times` and `skip`. */
  pending(): readonly Fault[]
  /** The first fault that hits this request, counted as used; null for none. */
  take(operation: string, path: string): Fault | null
}

/** An empty plan, in memory: faults do not survive a restart. */
export const createFaultPlan = (): FaultPlan => {
  let faults: Fault[] = []
  const hits = (fault: Fault, operation: string, path: string): boolean =>
    (fault.operation === '*' || fault.operation === operation) &&
    (fault.resource === undefined || path.toLowerCase().includes(fault.resource.toLowerCase()))
  return {
    add: (fault) => {
      faults.push(v.parse(faultSchema, fault))
    },
    clear: () => {
      faults = []
    },
    pending: () => [...faults],
    take: (operation, path) => {
      const index = faults.findIndex((fault) => hits(fault, operation, path))
      const fault = faults[index]
      if (fault === undefined) return null
      if (fault.skip > 0) {
        faults[index] = { ...fault, skip: fault.skip - 1 }
        return null
      }
      if (fault.times > 1) faults[index] = { ...fault, times: fault.times - 1 }
      else faults.splice(index, 1)
      return fault
    },
  }
}
