import type { HttpRequest } from '@azure/functions'
import { isId } from '../../shared/domain/ids.ts'
import { invalidField } from './problem.ts'

const shown = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text)

/** An id from the address.
 * @throws ProblemError 400 where it is not an id that this project makes */
export const idParameter = (request: HttpRequest, name: string): string => checkedId(name, request.params[name] ?? '')

/** An id from the query; null where the query does not name it.
 * @throws ProblemError 400 where it is not an id that this project makes */
export const idQuery = (request: HttpRequest, name: string): string | null => {
  const id = request.query.get(name)
  return id === null ? null : checkedId(name, id)
}

const checkedId = (name: string, id: string): string => {
  if (isId(id)) return id
  throw invalidField(
    400,
    name,
    `"${shown(id)}" is not an id.`,
    'Ids have at most 100 lower-case letters, digits, "-" and single dots; take one from a list of this API.',
  )
}

/** What the Functions host itself takes from a query: the key and its name. */
const hostParameters: readonly string[] = ['code', 'clientId']

/** @throws ProblemError 400 where the query names something else than these */
export const refuseOtherParameters = (request: HttpRequest, known: readonly string[]): void => {
  for (const name of request.query.keys())
    if (!known.includes(name) && !hostParameters.includes(name))
      throw invalidField(
        400,
        shown(name),
        'This query parameter is not known.',
        `Remove it, or correct its name: ${known.join(', ')}.`,
      )
}

/** The query parameter `top`: how many entries to answer.
 * @throws ProblemError 400 where it is not a whole number in range */
export const topParameter = (request: HttpRequest, topMax: number, fallback: number): number => {
  const text = request.query.get('top')
  if (text === null) return fallback
  const top = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (top >= 1 && top <= topMax) return top
  throw invalidField(400, 'top', `"${shown(text)}" is not valid.`, `Expected a whole number from 1 to ${topMax}.`)
}

/** Azure Resource Manager: the id of a virtual machine, with names as ARM restricts them. */
export const vmIdPattern =
  /^\/subscriptions\/[0-9a-f-]{36}\/resourceGroups\/[\w().-]{1,90}\/providers\/Microsoft\.Compute\/virtualMachines\/[\w.-]{1,64}$/i

/** Azure Resource Manager: the id of a managed disk. */
export const diskIdPattern =
  /^\/subscriptions\/[0-9a-f-]{36}\/resourceGroups\/[\w().-]{1,90}\/providers\/Microsoft\.Compute\/disks\/[A-Za-z0-9][\w.-]{0,78}\w$/i

/** Azure Resource Manager: the id of a resource group. */
export const resourceGroupIdPattern = /^\/subscriptions\/[0-9a-f-]{36}\/resourceGroups\/[\w().-]{1,90}$/i

/** True for ARM ids that are no path tricks: no `..`. */
export const hasNoDots = (text: string): boolean => !text.includes('..')
