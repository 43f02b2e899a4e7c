import type { Policy } from '../../shared/domain/policy.ts'
import { policyName } from '../../shared/jobs/control-names.ts'
import { encodeJson, readJson } from '../../shared/jobs/json-object.ts'
import { readPolicy } from '../../shared/jobs/policies.ts'
import type { BlobReader, ControlStore } from '../../shared/ports/blob-store.ts'

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
 * @throws naming the policy and the field */
export const parsePolicies = async (fleetPath: string, policies: unknown): Promise<readonly FleetPolicy[]> => {
  if (policies === undefined) return []
  if (!Array.isArray(policies)) throw wrongPolicy(fleetPath, 'policies', 'write a list: [{"name": "daily", …}]')
  const parsed: FleetPolicy[] = []
  for (const [index, document] of policies.entries()) {
    const field = `policies.${index}`
    if (!isDocument(document)) throw wrongPolicy(fleetPath, `${field}.name`, 'give the policy a name')
    const found = await readPolicy(readerOf(document), document.name)
    if (found?.kind !== 'policy') throw wrongPolicy(fleetPath, field, found?.problem ?? 'it cannot be read')
    if (parsed.some(({ policy }) => policy.name === document.name))
      throw wrongPolicy(fleetPath, `${field}.name`, `"${document.name}" is taken; choose another`)
    parsed.push({ document, policy: found.policy })
  }
  return parsed
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

const wrongPolicy = (fleetPath: string, field: string, fix: string): Error =>
  new Error(`The fleet file ${fleetPath} cannot be used:\n  ${field}: ${fix}`)

/** A store that holds one document, so that the app's own parser can be asked before anything is started. */
const readerOf = (document: PolicyDocument): BlobReader => ({
  read: async () => ({ bytes: encodeJson(document), etag: '"0"' }),
  readRange: async () => null,
  list: async function* () {},
})
