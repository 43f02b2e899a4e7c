import { invalidParameter } from './arm-error.ts'
import type { ArmReply, ArmRequest } from './arm-request.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { idKey } from './resource-ids.ts'

/** One page of a list, with the absolute nextLink of the next when there is one. The page after a token starts behind the
 * id in it, so resources made or deleted meanwhile neither repeat nor hide others.
 * @param records sorted by lower-case id */
export const pageOf = <R extends { readonly id: string }>(
  context: EmulatorContext,
  request: ArmRequest,
  records: readonly R[],
  render: (record: R) => unknown,
): ArmReply => {
  const after = afterOf(request)
  const rest = after === null ? records : records.filter((record) => idKey(record.id) > after)
  const size = context.settings().pageSize
  const page = rest.slice(0, size)
  const last = page.at(-1)
  const value = page.map(render)
  return {
    status: 200,
    body: rest.length <= size || last === undefined ? { value } : { value, nextLink: nextLink(request, last.id) },
  }
}

const afterOf = (request: ArmRequest): string | null => {
  const token = request.query.get('$skiptoken')
  if (token === null) return null
  const text = Buffer.from(token, 'base64url').toString()
  if (!text.startsWith('/subscriptions/')) throw invalidParameter('$skiptoken', 'The skip token is not valid.')
  return text
}

const nextLink = (request: ArmRequest, lastId: string): string => {
  const query = new URLSearchParams(request.query)
  query.set('$skiptoken', Buffer.from(idKey(lastId)).toString('base64url'))
  return `${request.origin}${request.path}?${query}`
}
