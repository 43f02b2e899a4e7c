import * as v from 'valibot'
import type { FieldError } from './problem.ts'

/** One issue of a body in plain words: the field, what was given, what is wanted.
 * @param schema that of the whole body */
export const fieldErrorOf = (schema: v.GenericSchema, issue: v.BaseIssue<unknown>): FieldError => {
  const field = v.getDotPath(issue) ?? 'body'
  if (issue.type === 'strict_object' && issue.expected === 'never')
    return {
      field,
      detail: 'This field is not known.',
      fix: `Remove it, or correct its name${knownNames(schema, issue)}.`,
    }
  if (issue.received === 'undefined') return { field, detail: 'This field is missing.', fix: missingFix(schema, issue) }
  return { field, detail: `It is ${given(issue.input)}.`, fix: wanted(issue) }
}

const shownMax = 60

const shown = (text: string): string => (text.length > shownMax ? `${text.slice(0, shownMax)}…` : text)

const given = (input: unknown): string => {
  if (Array.isArray(input)) return input.length === 0 ? 'an empty list' : `a list of ${input.length}`
  if (typeof input === 'string') return input === '' ? 'an empty text' : `the text "${shown(input)}"`
  if (typeof input === 'number') return `the number ${input}`
  return typeof input === 'object' && input !== null ? 'an object' : String(input)
}

const plainTypes: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  record: 'an object',
  strict_object: 'an object',
  integer: 'a whole number',
}

/** A schema's own words where it has some, else those for its type. */
const wanted = (issue: v.BaseIssue<unknown>): string => {
  if (!issue.message.startsWith('Invalid')) return issue.message
  const { type, expected } = issue
  const limit = typeof issue.requirement === 'number' ? String(issue.requirement) : ''
  const unit = Array.isArray(issue.input) ? 'entries' : 'characters'
  if (type === 'min_length') return `Expected at least ${limit} ${unit}.`
  if (type === 'max_length') return `Expected at most ${limit} ${unit}.`
  if (type === 'min_value') return `Expected at least ${limit}.`
  if (type === 'max_value') return `Expected at most ${limit}.`
  return `Expected ${plainTypes[type] ?? alternatives(expected ?? 'another value')}.`
}

/** The library writes them as `("a" | "b")`. */
const alternatives = (expected: string): string => expected.replace(/[()]/g, '').replaceAll(' | ', ' or ')

/** What is wanted is said by the schema of the field itself; the issue is that of the object around it. */
const missingFix = (schema: v.GenericSchema, issue: v.BaseIssue<unknown>): string => {
  const entry = (issue.path ?? []).reduce<unknown>((within, { key }) => entryOf(within, key), schema)
  const issues = isSchema(entry) ? (v.safeParse(entry, null).issues ?? []) : []
  return issues[0] === undefined ? `Add it. ${wanted(issue)}` : `Add it. ${wanted(issues[0])}`
}

const knownNames = (schema: v.GenericSchema, issue: v.BaseIssue<unknown>): string => {
  const around = (issue.path ?? []).slice(0, -1).reduce<unknown>((within, { key }) => entryOf(within, key), schema)
  const { entries } = unwrapped(around)
  return entries === undefined ? '' : `: ${Object.keys(entries).join(', ')}`
}

interface SchemaParts {
  readonly entries?: Readonly<Record<string, unknown>>
  readonly item?: unknown
  readonly wrapped?: unknown
  readonly pipe?: readonly unknown[]
}

const isSchema = (part: unknown): part is v.GenericSchema =>
  typeof part === 'object' && part !== null && '~run' in part && 'kind' in part && part.kind === 'schema'

const unwrapped = (schema: unknown): SchemaParts => {
  const parts = (schema ?? {}) as SchemaParts
  if (parts.wrapped !== undefined) return unwrapped(parts.wrapped)
  return parts.pipe?.[0] === undefined || parts.pipe[0] === schema
    ? parts
    : { ...parts, ...(parts.pipe[0] as SchemaParts) }
}

const entryOf = (schema: unknown, key: unknown): unknown => {
  const { entries, item } = unwrapped(schema)
  return (
    item ?? (typeof key === 'string' && entries !== undefined && Object.hasOwn(entries, key) ? entries[key] : undefined)
  )
}
