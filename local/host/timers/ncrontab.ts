/** A schedule's fields as lists of numbers, which every cron library reads alike; `*` where a field takes all values. */
export interface CronFields {
  readonly second: string
  readonly minute: string
  readonly hour: string
  readonly day: string
  readonly month: string
  readonly dayOfWeek: string
}

interface FieldKind {
  readonly name: keyof CronFields
  readonly least: number
  readonly most: number
  readonly names: readonly string[]
}

const monthNames = 'january february march april may june july august september october november december'.split(' ')
const dayNames = 'sunday monday tuesday wednesday thursday friday saturday'.split(' ')

/** NCRONTAB counts days of the week from 0, Sunday, to 6; it knows no 7 and none of `? L W #`. */
const fieldKinds: readonly FieldKind[] = [
  { name: 'second', least: 0, most: 59, names: [] },
  { name: 'minute', least: 0, most: 59, names: [] },
  { name: 'hour', least: 0, most: 23, names: [] },
  { name: 'day', least: 1, most: 31, names: [] },
  { name: 'month', least: 1, most: 12, names: monthNames },
  { name: 'dayOfWeek', least: 0, most: 6, names: dayNames },
]

const numberOf = (text: string, kind: FieldKind): number => {
  const index = text.length < 3 ? -1 : kind.names.findIndex((name) => name.startsWith(text.toLowerCase()))
  const value = index >= 0 ? index + kind.least : /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN
  if (value >= kind.least && value <= kind.most) return value
  throw new Error(`"${text}" is not a ${kind.name} (${kind.least} to ${kind.most})`)
}

const rangeOf = (text: string, kind: FieldKind, hasStep: boolean): readonly [number, number] => {
  if (text === '*') return [kind.least, kind.most]
  const dash = text.indexOf('-', 1)
  if (dash > 0) {
    const [from, to] = [numberOf(text.slice(0, dash), kind), numberOf(text.slice(dash + 1), kind)]
    if (from > to) throw new Error(`"${text}" runs backwards`)
    return [from, to]
  }
  const from = numberOf(text, kind)
  return [from, hasStep ? kind.most : from]
}

const fieldOf = (text: string, kind: FieldKind): string => {
  const chosen = new Set<number>()
  for (const item of text.split(',')) {
    const [range, step, ...more] = item.split('/')
    if (more.length > 0 || (step !== undefined && !/^[1-9]\d?$/.test(step)))
      throw new Error(`"${item}" has no valid step`)
    const [from, to] = rangeOf(range!, kind, step !== undefined)
    for (let value = from; value <= to; value += Number(step ?? 1)) chosen.add(value)
  }
  const all = kind.most - kind.least + 1
  return chosen.size === all ? '*' : [...chosen].sort((a, b) => a - b).join(',')
}

/**
 * Parses an NCRONTAB expression: `{second} {minute} {hour} {day} {month} {day of week}`; with five fields the second
 * is 0. Fields take `*`, values, ranges, steps and lists; months and days of the week may be English names.
 * Source: Functions docs, "NCRONTAB expressions". Throws, naming the field, where the expression is not one.
 */
export const parseNcrontab = (expression: string): CronFields => {
  const given = expression.trim().split(/\s+/)
  const texts = given.length === 5 ? ['0', ...given] : given
  if (texts.length !== 6) {
    throw new Error(`The schedule "${expression}" is not a cron expression of six fields, such as "0 */15 * * * *".`)
  }
  try {
    return Object.fromEntries(
      fieldKinds.map((kind, index) => [kind.name, fieldOf(texts[index]!, kind)]),
    ) as unknown as CronFields
  } catch (error) {
    throw new Error(`The schedule "${expression}": ${(error as Error).message}.`, { cause: error })
  }
}
