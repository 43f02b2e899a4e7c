import * as v from 'valibot'

const milliseconds = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(3_600_000))

const bucketSettings = v.strictObject({
  capacity: v.pipe(v.number(), v.integer(), v.minValue(1)),
  windowSeconds: v.pipe(v.number(), v.minValue(1)),
})

/** How the emulated service behaves; every field may be changed while it runs (PATCH /_emulator/settings). */
export const settingsSchema = v.strictObject({
  /** How long an accepted operation takes at least. */
  operationMs: v.optional(milliseconds, 300),
  /** Overrides of `operationMs` by operation, such as `{"RestorePoints_Create": 5000}`. */
  operationMsByName: v.optional(v.record(v.string(), milliseconds), {}),
  /** Retry-After of VM operations, in seconds: the only ones that the service promises it for. */
  retryAfterSeconds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 1),
  /** Items of one list page. */
  pageSize: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000)), 100),
  /** Least distance of two restore points of a VM (3 h, crash 1 h), hourly caps, 7 snapshots of a disk in 5 minutes. */
  spacing: v.optional(v.boolean(), false),
  /** Restore points of one VM, in all collections. Azure: 500. */
  restorePointsPerVmMax: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 500),
  /** Incremental snapshots of one disk. Azure: 500. */
  snapshotsPerDiskMax: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 500),
  /** Live SAS of one snapshot family. Azure: 5. */
  liveSasPerFamilyMax: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 5),
  /** Rate-limit buckets by name, replacing those of the service (see rate-limits.ts). */
  buckets: v.optional(v.record(v.string(), bucketSettings), {}),
})

export type EmulatorSettings = v.InferOutput<typeof settingsSchema>
export type SettingsInput = v.InferInput<typeof settingsSchema>

/** Fills in the defaults. @throws ValiError naming the first wrong field */
export const parseSettings = (input: SettingsInput): EmulatorSettings => v.parse(settingsSchema, input)
