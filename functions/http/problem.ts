import type { HttpResponseInit } from '@azure/functions'

/** One field that is wrong: its path in the request, what is wrong, and what would be right. */
export interface FieldError {
  readonly field: string
  readonly detail: string
  readonly fix: string
}

/** A problem of a request in the terms of RFC 9457, with code, reason and hint as every other answer has them. `code` is stable; `title` is the same for
 * each code. */
export interface Problem {
  readonly status: number
  readonly code: string
  readonly title: string
  readonly detail: string
  readonly errors?: readonly FieldError[]
  /** What can be done; absent where the fixes of the fields say it. */
  readonly hint?: string
  readonly headers?: Readonly<Record<string, string>>
  /** More members of the body. */
  readonly more?: Readonly<Record<string, unknown>>
}

/** Thrown where a request cannot be followed; the endpoint answers with the problem. Nothing was changed by then. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.detail)
    this.problem = problem
  }
}

/** The response of a problem: `application/problem+json`. */
export const problemResponse = ({ headers, ...problem }: Problem): HttpResponseInit => ({
  status: problem.status,
  headers: { ...headers, 'content-type': 'application/problem+json' },
  body: JSON.stringify(bodyOf(problem)),
})

const bodyOf = ({ status, code, title, detail, errors, hint, more }: Problem) => ({
  type: `urn:deltavault:problem:${code}`,
  title,
  status,
  detail,
  code,
  reason: errors === undefined ? detail : errors.map((error) => `${error.field}: ${error.detail}`).join(' '),
  hint: hint ?? errors?.map(({ fix }) => fix).join(' ') ?? 'Correct the request and send it again.',
  ...(errors === undefined ? {} : { errors }),
  ...more,
})

/** One field of the request is wrong. */
export const invalidField = (status: 400 | 422, field: string, detail: string, fix: string): ProblemError =>
  new ProblemError({
    status,
    code: 'invalid-request',
    title: 'The request is not valid.',
    detail: `${field}: ${detail} ${fix}`,
    errors: [{ field, detail, fix }],
  })

/** What the request names does not exist. */
export const notFound = (field: string, detail: string, fix: string): ProblemError =>
  new ProblemError({
    status: 404,
    code: 'not-found',
    title: 'There is no such thing.',
    detail: `${detail} ${fix}`,
    errors: [{ field, detail, fix }],
  })
