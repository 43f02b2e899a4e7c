/**
 * Takes out of a value what differs between any two runs: times, generated ids, ports, .NET stack traces. Strings that are
 * JSON, and the .NET exceptions inside texts, are gone into; key order stays as it is.
 */
export function masked(value: unknown): unknown {
  if (typeof value === 'string') return maskedText(value)
  if (Array.isArray(value)) return value.map(masked)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).map(([key, field]) => [key, key === 'StackTrace' ? '<stack>' : masked(field)])
  return Object.fromEntries(fields)
}

const time = /\b(?!2026-01-02|1970)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?/g
const guid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b/g
const origin = /http:\/\/127\.0\.0\.1:\d+/g
const childStack = /, StackTrace: [\s\S]*$/

function maskedText(text: string): string {
  const inner = parsedJson(text)
  if (inner !== undefined) return `JSON:${JSON.stringify(masked(inner))}`
  return withoutExceptions(text)
    .replace(childStack, ', StackTrace: <stack>')
    .replace(/\nStack: [\s\S]*$/, '\nStack: <stack>')
    .replace(time, '<time>')
    .replace(guid, '<guid>')
    .replace(origin, '<origin>')
}

/** @returns undefined for what is not the JSON text of an object, an array or a string */
function parsedJson(text: string): unknown {
  if (!/^\s*[{["]/.test(text)) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return isException(value) ? exceptionMark(value) : value
  } catch {
    return undefined
  }
}

/** Each .NET exception in JSON within a text becomes its type and message. */
function withoutExceptions(text: string): string {
  const start = text.indexOf('{"$type":"')
  if (start < 0) return text
  const end = endOfObject(text, start)
  if (end === undefined) return `${text.slice(0, start)}<exception>`
  const value: unknown = JSON.parse(text.slice(start, end))
  return `${text.slice(0, start)}${isException(value) ? exceptionMark(value) : '<object>'}${withoutExceptions(text.slice(end))}`
}

const isException = (value: unknown): value is { readonly $type: string; readonly Message: string } =>
  typeof value === 'object' && value !== null && '$type' in value && 'Message' in value

const exceptionMark = (value: { readonly $type: string; readonly Message: string }): string =>
  `<${value.$type.split(',')[0]}: ${value.Message}>`

function endOfObject(text: string, start: number): number | undefined {
  let depth = 0
  let inString = false
  for (let at = start; at < text.length; at++) {
    const character = text[at]
    if (inString && character === '\\') at += 1
    else if (character === '"') inString = !inString
    else if (!inString && character === '{') depth += 1
    else if (!inString && character === '}' && --depth === 0) return at + 1
  }
  return undefined
}
