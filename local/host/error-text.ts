/** The message of whatever was thrown, errors and other values alike, as the real worker words it. */
export const messageOf = (thrown: unknown): string => {
  if (thrown instanceof Error) return String(thrown.message)
  if (thrown === undefined || thrown === null) return 'Unknown error'
  return typeof thrown === 'object' ? JSON.stringify(thrown) : String(thrown)
}

/** The stack of an error, or its message where it has none. */
export const stackOf = (thrown: unknown): string =>
  thrown instanceof Error && typeof thrown.stack === 'string' ? thrown.stack : messageOf(thrown)
