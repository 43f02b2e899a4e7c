import { createHash } from 'node:crypto'
import { masked } from './mask.ts'
import { type Cut, isCut } from './recording.ts'

/** Holds a value to a recorded one, both masked: values, and the order of keys.
 * @returns what differs, a line each; empty if nothing does */
export function differences(recorded: unknown, actual: unknown, at = ''): string[] {
  if (isCut(recorded)) return cutDifferences(recorded, actual, at)
  if (isObject(recorded)) return inside(recorded, actual, at)
  const [left, right] = [JSON.stringify(masked(recorded)), JSON.stringify(masked(actual))]
  return left === right ? [] : [`${at}: recorded ${short(left)}, got ${short(right)}`]
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

function inside(recorded: Record<string, unknown>, actual: unknown, at: string): string[] {
  if (!isObject(actual) || Array.isArray(recorded) !== Array.isArray(actual))
    return [`${at}: recorded ${short(JSON.stringify(masked(recorded)))}, got ${short(JSON.stringify(masked(actual)))}`]
  const [left, right] = [Object.keys(recorded), Object.keys(actual)]
  if (left.join() !== right.join()) return [`${at}: recorded keys ${short(left.join())}, got ${short(right.join())}`]
  return left.flatMap((key) => (key === 'StackTrace' ? [] : differences(recorded[key], actual[key], `${at}/${key}`)))
}

/** Of a long string the recording has the beginning, and a digest that counts only if nothing in it varies. */
function cutDifferences(recorded: Cut, actual: unknown, at: string): string[] {
  const text = typeof actual === 'string' ? actual : JSON.stringify(actual)
  if (text === undefined) return [`${at}: recorded ${recorded.$long} characters, got nothing`]
  const varies = recorded.head.includes('{"$type') || /\d{4}-\d\d-\d\dT/.test(recorded.head) || text.includes('"$type')
  if (!varies) {
    const digest = createHash('sha256').update(text).digest('hex')
    return digest === recorded.sha256
      ? []
      : [`${at}: recorded a text of ${recorded.$long} characters with another digest`]
  }
  const head = recorded.head.split('{"$type')[0] ?? ''
  return text.startsWith(head) ? [] : [`${at}: recorded ${short(head)}, got ${short(text)}`]
}

const short = (text: string | undefined): string =>
  text === undefined ? 'nothing' : text.length <= 300 ? text : `${text.slice(0, 300)}… (${text.length})`
