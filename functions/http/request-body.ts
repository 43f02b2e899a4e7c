import type { HttpRequest } from '@azure/functions'
import * as v from 'valibot'
import { fieldErrorOf } from './field-words.ts'
import { invalidField, ProblemError } from './problem.ts'

/** A request of this API has some hundred bytes; a long list of disks some thousand. */
const bodyBytesMax = 256 * 1024

/** Wrong fields that one answer names. */
const errorsMax = 20

/** The parsed body of a request.
 * @param whenEmpty counts as the text of an empty body; without it a body is needed
 * @throws ProblemError 413 too large, 400 not JSON, 422 not what the schema says, naming every field */
export const readBody = async <Schema extends v.GenericSchema>(
  request: HttpRequest,
  schema: Schema,
  whenEmpty = '',
): Promise<v.InferOutput<Schema>> => {
  const parsed = v.safeParse(schema, parseJson((await readText(request)) || whenEmpty))
  if (parsed.success) return parsed.output
  const errors = parsed.issues.slice(0, errorsMax).map((issue) => fieldErrorOf(schema, issue))
  throw new ProblemError({
    status: 422,
    code: 'invalid-request',
    title: 'The request is not valid.',
    detail: errors.map(({ field, detail, fix }) => `${field}: ${detail} ${fix}`).join(' '),
    errors,
  })
}

const tooLarge = () =>
  new ProblemError({
    status: 413,
    code: 'body-too-large',
    title: 'The body is too large.',
    detail: `A body may have ${bodyBytesMax} bytes. Split the request.`,
    errors: [{ field: 'body', detail: 'It is too large.', fix: `Send at most ${bodyBytesMax} bytes.` }],
  })

const readText = async (request: HttpRequest): Promise<string> => {
  if (Number(request.headers.get('content-length') ?? 0) > bodyBytesMax) throw tooLarge()
  const parts: Uint8Array[] = []
  let lengthBytes = 0
  for await (const part of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    lengthBytes += part.byteLength
    if (lengthBytes > bodyBytesMax) throw tooLarge()
    parts.push(part)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
  } catch {
    throw invalidField(400, 'body', 'It is not UTF-8.', 'Send JSON in UTF-8.')
  }
}

const parseJson = (text: string): unknown => {
  if (text.trim() === '') throw invalidField(400, 'body', 'It is empty.', 'Send a JSON object.')
  try {
    const value = JSON.parse(text) as unknown
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 120) : ''
    throw invalidField(400, 'body', `It is not JSON (${reason}).`, 'Send a JSON object.')
  }
  throw invalidField(422, 'body', 'It is JSON, but not an object.', 'Send a JSON object.')
}
