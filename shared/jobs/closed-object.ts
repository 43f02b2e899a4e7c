import * as v from 'valibot'

/** An object of these fields and no others. What a document misses or has too much is said in words for its author, with the fields that
 * may be there. */
export const closedObject = <const Entries extends v.ObjectEntries>(entries: Entries) =>
  v.strictObject(entries, (issue) => {
    if (issue.expected === 'never')
      return `This field is not known; remove it, or use one of: ${Object.keys(entries).join(', ')}.`
    return issue.path !== undefined && issue.received === 'undefined'
      ? 'This field is missing; add it.'
      : `Expected an object with the fields ${Object.keys(entries).join(', ')}.`
  })
