import type { Policy } from '../../shared/domain/policy.ts'
import { policyName } from '../../shared/jobs/control-names.ts'
import { encodeJson, readJson } from '../../shared/jobs/json-object.ts'
import { readPolicy } from '../../shared/jobs/policies.ts'
import type { BlobReader, ControlStore } from '../../shared/ports/blob-store.ts'
import { FleetError, type FleetProblem } from '../compute/fleet.ts'

/** A policy document as a fleet file holds it, with what the app reads in it. */
export interface FleetPolicy {
  readonly document: PolicyDocument
  readonly policy: Policy
}

interface PolicyDocument {
  readonly name: string
  readonly [field: string]: unknown
}

/** The policies of a fleet file, each checked by the app's own rules.
 * @param policies the field `policies`; absent means none
 * @throws FleetError naming all that is wrong with all of them */
export const parsePolicies = async (fleetPath: string, policies: unknown): Promise<readonly FleetPolicy[]> => {
  if (policies === undefined) return []
  if (!Array.isArray(policies))
    throw new FleetError(fleetPath, [{ field: 'policies', fix: 'write a list: [{"name": "daily", …}]' }])
  const parsed: FleetPolicy[] = []
  const problems: FleetProblem[] = []
  const names = new Set<string>()
  for (const [index, document] of policies.entries()) {
    const field = `policies.${index}`
    if (!isDocument(document)) {
      problems.push({ field: `${field}.name`, fix: 'give the policy a name' })
      continue
    }
    if (names.has(document.name))
      problems.push({ field: `${field}.name`, fix: `"${document.name}" is taken; choose another` })
    names.add(document.name)
    const found = await readPolicy(readerOf(document), document.name)
    if (found?.kind === 'policy') parsed.push({ document, policy: found.policy })
    else problems.push(...(found?.problems ?? ['it cannot be read']).map((problem) => fleetProblem(field, problem)))
  }
  if (problems.length > 0) throw new FleetError(fleetPath, problems)
  return parsed
}

/** The app begins a problem with the field of the policy, which is a part of one of the fleet file's. */
const fleetProblem = (field: string, problem: string): FleetProblem => {
  const [, within, fix] = /^([\w.]+): (.*)$/s.exec(problem) ?? []
  return within === undefined || fix === undefined ? { field, fix: problem } : { field: `${field}.${within}`, fix }
}

/** Writes a policy into the control container as `policies/<name>.json`, over the one that was there. */
export const putPolicy = (control: ControlStore, { document }: FleetPolicy): Promise<void> =>
  control.put(policyName(document.name), encodeJson(document))

/** Gives a policy one daily time, in UTC, whose slot has come: a minute later than the last one it had, else ten minutes ago. A slot starts
 * each VM once only, so each run needs a slot of its own; the last one is remembered in the control container.
 * @returns the policy with its new time; it is not written yet */
export const withNextDueTime = async (
  control: ControlStore,
  { document, policy }: FleetPolicy,
  now: Date,
): Promise<FleetPolicy> => {
  const last = await readJson<{ slot: string }>(control, lastSlotName(policy.name))
  const minute = Math.floor(now.getTime() / minuteMs) * minuteMs
  const slotMs = Math.max(minute - 10 * minuteMs, last === null ? 0 : new Date(last.value.slot).getTime() + minuteMs)
  const slot = new Date(slotMs).toISOString()
  await control.put(lastSlotName(policy.name), encodeJson({ slot }))
  const schedule = { kind: 'daily', times: [slot.slice(11, 16)], timeZone: 'UTC' } as const
  return { document: { ...document, schedule }, policy: { ...policy, schedule } }
}

const minuteMs = 60_000

const lastSlotName = (name: string): string => `demo/last-slot-${name}.json`

const isDocument = (document: unknown): document is PolicyDocument =>
  typeof document === 'object' &&
  document !== null &&
  'name' in document &&
  typeof document.name === 'string' &&
  document.name !== ''

/** A store that holds one document, so that the app's own parser can be asked before anything is started. */
const readerOf = (document: PolicyDocument): BlobReader => ({
  read: async () => ({ bytes: encodeJson(document), etag: '"0"' }),
  readRange: async () => null,
  list: async function* () {},
})
