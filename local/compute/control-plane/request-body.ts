import * as v from 'valibot'
import { ArmError, invalidParameter } from './arm-error.ts'

/** Parses a request body by its schema.
 * @throws ArmError 400: `InvalidRequestContent` for no object at all, else `InvalidParameter` naming the first wrong field */
export const parseBody = <S extends v.GenericSchema>(schema: S, body: unknown): v.InferOutput<S> => {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new ArmError({
      status: 400,
      code: 'InvalidRequestContent',
      message: 'The request content was invalid: a JSON object is expected.',
    })
  const result = v.safeParse(schema, body)
  if (result.success) return result.output
  const [issue] = result.issues
  const target = v.getDotPath(issue) ?? 'body'
  const missing = issue.received === 'undefined'
  throw invalidParameter(
    target,
    missing
      ? `Required parameter '${target}' is missing (null).`
      : issue.kind === 'schema' && issue.expected === 'never'
        ? `Could not find member '${target}', or this emulator does not support it.`
        : `The value of parameter '${target}' is invalid: ${issue.message}`,
  )
}

/** Tags as ARM takes them: at most 50, names to 512, values to 256 characters. */
export const tagsSchema = v.pipe(
  v.record(v.pipe(v.string(), v.minLength(1), v.maxLength(512)), v.pipe(v.string(), v.maxLength(256))),
  v.check((tags) => Object.keys(tags).length <= 50, 'a resource has at most 50 tags'),
)
