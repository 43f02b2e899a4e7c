import * as v from 'valibot'
import { isId } from '../domain/ids.ts'
import { type Policy, windowHoursMax } from '../domain/policy.ts'
import { isTimeZone, weekdays } from '../domain/schedule.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import { closedObject } from './closed-object.ts'
import { policyName, policyPrefix } from './control-names.ts'

/** Limits of what a document or a request may hold; far above what anybody needs, so that no list is endless. */
const listMax = 200

const text = (charactersMax: number) => v.pipe(v.string(), v.minLength(1), v.maxLength(charactersMax))

/** Azure: a disk's place in the VM, `os` or `lun-<n>`. */
export const diskLabelSchema = v.pipe(v.string(), v.regex(/^(os|lun-\d{1,2})$/, 'Expected "os" or "lun-<n>".'))

const timeOfDay = v.pipe(v.string(), v.regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'Expected a time such as "02:00".'))
const times = v.pipe(v.array(timeOfDay), v.minLength(1), v.maxLength(24))
const timeZone = v.pipe(text(60), v.check(isTimeZone, 'Expected a time zone such as "Europe/Berlin" or "UTC".'))

export const selectionSchema = closedObject({
  subscriptionIds: v.optional(v.pipe(v.array(v.pipe(v.string(), v.uuid())), v.minLength(1), v.maxLength(listMax))),
  resourceGroups: v.optional(v.pipe(v.array(text(90)), v.minLength(1), v.maxLength(listMax))),
  tags: v.optional(v.record(text(512), v.pipe(v.string(), v.maxLength(256)))),
})

const scheduleSchema = v.variant('kind', [
  closedObject({ kind: v.literal('daily'), times, timeZone }),
  closedObject({
    kind: v.literal('weekly'),
    days: v.pipe(v.array(v.picklist(weekdays)), v.minLength(1), v.maxLength(7)),
    times,
    timeZone,
  }),
  closedObject({ kind: v.literal('hourly'), everyHours: v.picklist([1, 2, 3, 4, 6, 8, 12, 24]), timeZone }),
])

const kept = (countMax: number) => v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(countMax)))

/** What a policy and a backup on demand may both choose. */
export const choiceSchemas = {
  excludedDisks: v.pipe(v.array(diskLabelSchema), v.maxLength(65)),
  consistency: v.nullable(v.picklist(['crash', 'fileSystem', 'application'])),
  source: v.picklist(['restorePoints', 'diskSnapshots']),
  windowHours: v.nullable(v.pipe(v.number(), v.minValue(0.001), v.maxValue(windowHoursMax))),
  compression: v.picklist(['zstd', 'none'], 'Expected "zstd" or "none".'),
  encryption: v.nullable(v.boolean('Expected true, false or null.')),
}

/** Text that may name a policy. */
export const policyNameSchema = v.pipe(
  text(60),
  v.check(isId, 'Expected lower-case letters, digits, "-" and single dots.'),
)

const policySchema = closedObject({
  name: policyNameSchema,
  selection: selectionSchema,
  schedule: scheduleSchema,
  excludedDisks: v.optional(choiceSchemas.excludedDisks, []),
  consistency: v.optional(choiceSchemas.consistency, null),
  source: v.optional(choiceSchemas.source, 'restorePoints'),
  windowHours: v.optional(choiceSchemas.windowHours, null),
  compression: v.optional(choiceSchemas.compression, 'zstd'),
  encryption: v.optional(choiceSchemas.encryption, null),
  retention: v.optional(
    v.nullable(closedObject({ daily: kept(9999), weekly: kept(5163), monthly: kept(1188), yearly: kept(99) })),
    null,
  ),
})

/** A policy document that cannot be followed, with all that is wrong in words. */
export interface PolicyProblem {
  readonly kind: 'problem'
  readonly name: string
  /** One for each wrong field, which it begins with; at least one. */
  readonly problems: readonly string[]
  /** The same as one text. */
  readonly problem: string
}

/** The policy, the problem with its document, or null where there is none of that name. */
export const readPolicy = async (
  control: BlobReader,
  name: string,
): Promise<{ readonly kind: 'policy'; readonly policy: Policy } | PolicyProblem | null> => {
  const content = await control.read(policyName(name))
  return content === null ? null : parsePolicy(name, new TextDecoder().decode(content.bytes))
}

/** All policies in order of their names. A bad document is told apart and does not hide the others. */
export const listPolicies = async function* (
  control: BlobReader,
): AsyncIterable<{ readonly kind: 'policy'; readonly policy: Policy } | PolicyProblem> {
  for await (const { name } of control.list(policyPrefix)) {
    if (!name.endsWith('.json')) continue
    const policy = await readPolicy(control, name.slice(policyPrefix.length, -'.json'.length))
    if (policy !== null) yield policy
  }
}

const parsePolicy = (
  name: string,
  json: string,
): { readonly kind: 'policy'; readonly policy: Policy } | PolicyProblem => {
  const document = parseJson(json)
  if (document === undefined) return problemOf(name, ['The document is not JSON.'])
  const parsed = v.safeParse(policySchema, document)
  if (!parsed.success)
    return problemOf(
      name,
      parsed.issues.map((issue) => `${v.getDotPath(issue) ?? '(document)'}: ${issue.message}`),
    )
  if (parsed.output.name !== name)
    return problemOf(name, [`name: The document is stored as ${policyName(name)} but names itself otherwise.`])
  return { kind: 'policy', policy: parsed.output }
}

const problemOf = (name: string, problems: readonly string[]): PolicyProblem => ({
  kind: 'problem',
  name,
  problems,
  problem: problems.join(' '),
})

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
