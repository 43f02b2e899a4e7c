/** A request target, taken apart as Kestrel does it before routing. */
export interface RequestTarget {
  /** Decoded segments without empty ones and dot segments; `%2F` stays as it is written. */
  readonly segments: readonly string[]
  /** As sent, from the first slash. */
  readonly pathAndQuery: string
  readonly query: URLSearchParams
}

/** Kestrel decodes all of a path but `%2F`, and leaves what is not UTF-8 as it is. */
const decodeSegment = (segment: string): string =>
  segment
    .split(/(%2f)/i)
    .map((part) => {
      if (/^%2f$/i.test(part)) return part
      try {
        return decodeURIComponent(part)
      } catch {
        return part
      }
    })
    .join('')

const withoutDots = (segments: readonly string[]): readonly string[] => {
  const kept: string[] = []
  for (const segment of segments) {
    if (segment === '..') kept.pop()
    else if (segment !== '.' && segment !== '') kept.push(segment)
  }
  return kept
}

/** Takes a request target apart; absolute targets (`GET http://host/path`) are understood too. */
export const parseRequestTarget = (target: string): RequestTarget => {
  const pathAndQuery = target.replace(/^https?:\/\/[^/?]*/i, '') || '/'
  const question = pathAndQuery.indexOf('?')
  const path = question < 0 ? pathAndQuery : pathAndQuery.slice(0, question)
  return {
    segments: withoutDots(path.split('/').map(decodeSegment)),
    pathAndQuery,
    query: new URLSearchParams(question < 0 ? '' : pathAndQuery.slice(question + 1)),
  }
}
