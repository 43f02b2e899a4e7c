import * as v from 'valibot'
import { isId } from '../domain/ids.ts'
import { type Policy, windowHoursMax } from '../domain/policy.ts'
import { isTimeZone, weekdays } from '../domain/schedule.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import { closedObject } from './closed-object.ts'
import { policyName, policyPrefix } from './control-names.ts'

/** Limits of what a document or a request may hold; far above what anybody needs, so that no list is endless. */
const listMax = 200

const text = (charactersMax: number) => {
  const expected = `Expected text of 1 to ${charactersMax} characters.`
  return v.pipe(v.string(expected), v.minLength(1, expected), v.maxLength(charactersMax, expected))
}

/** A list of one entry at least. */
const list = <Item extends v.GenericSchema>(item: Item, entriesMax: number, expected: string) =>
  v.pipe(
    v.array(item, expected),
    v.minLength(1, expected),
    v.maxLength(entriesMax, `${expected} At most ${entriesMax} entries.`),
  )

const labelText = 'Expected "os" or "lun-<n>".'

/** Azure: a disk's place in the VM, `os` or `lun-<n>`. */
export const diskLabelSchema = v.pipe(v.string(labelText), v.regex(/^(os|lun-\d{1,2})$/, labelText))

const timeText = 'Expected a time such as "02:00".'
const timeOfDay = v.pipe(v.string(timeText), v.regex(/^([01]\d|2[0-3]):[0-5]\d$/, timeText))
const times = list(timeOfDay, 24, 'Expected a list of times such as ["02:00"].')
const timeZone = v.pipe(text(60), v.check(isTimeZone, 'Expected a time zone such as "Europe/Berlin" or "UTC".'))

const subscriptionText = 'Expected a subscription id, such as "00000000-0000-0000-0000-000000000001".'
const subscriptionId = v.pipe(v.string(subscriptionText), v.uuid(subscriptionText))
const tagText = 'Expected text of at most 256 characters.'
const tagValue = v.pipe(v.string(tagText), v.maxLength(256, tagText))

/** Which VMs a policy or a request means: those that fit all that is named. An empty list selects none. */
export const selectionSchema = closedObject({
  subscriptionIds: v.optional(list(subscriptionId, listMax, 'Expected a list of subscription ids.')),
  resourceGroups: v.optional(list(text(90), listMax, 'Expected a list of names of resource groups.')),
  tags: v.optional(
    v.record(text(512), tagValue, 'Expected an object of tags and their values, such as {"backup": "daily"}.'),
  ),
})

const weekdayText = `Expected one of ${weekdays.join(', ')}.`
const everyHours = [1, 2, 3, 4, 6, 8, 12, 24] as const
const everyHoursText = `Expected one of ${everyHours.join(', ')}.`

const scheduleSchema = v.variant(
  'kind',
  [
    closedObject({ kind: v.literal('daily'), times, timeZone }),
    closedObject({
      kind: v.literal('weekly'),
      days: list(v.picklist(weekdays, weekdayText), 7, 'Expected a list of weekdays such as ["monday"].'),
      times,
      timeZone,
    }),
    closedObject({ kind: v.literal('hourly'), everyHours: v.picklist(everyHours, everyHoursText), timeZone }),
  ],
  'Expected an object whose "kind" is "daily", "weekly" or "hourly".',
)

const kept = (countMax: number) => {
  const expected = `Expected a whole number from 1 to ${countMax}.`
  return v.optional(
    v.pipe(v.number(expected), v.integer(expected), v.minValue(1, expected), v.maxValue(countMax, expected)),
  )
}

const windowText = `Expected a number of hours above 0 and up to ${windowHoursMax}, or null.`

/** What a policy and a backup on demand may both choose. */
export const choiceSchemas = {
  excludedDisks: v.pipe(
    v.array(diskLabelSchema, 'Expected a list of disks such as ["os", "lun-1"].'),
    v.maxLength(65, 'Expected at most 65 disks.'),
  ),
  consistency: v.nullable(
    v.picklist(['crash', 'fileSystem', 'application'], 'Expected "crash", "fileSystem", "application" or null.'),
  ),
  source: v.picklist(['restorePoints', 'diskSnapshots'], 'Expected "restorePoints" or "diskSnapshots".'),
  windowHours: v.nullable(
    v.pipe(v.number(windowText), v.minValue(0.001, windowText), v.maxValue(windowHoursMax, windowText)),
  ),
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
