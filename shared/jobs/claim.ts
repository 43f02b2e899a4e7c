import type { Claim, Job, Resumption, StopReason } from '../domain/job.ts'
import { type Failed, superseded } from '../domain/job-ref.ts'
import { keepLatest } from '../domain/keep-latest.ts'
import type { BlobReader, ControlStore } from '../ports/blob-store.ts'
import { claimName, claimPrefix } from './control-names.ts'
import { encodeJson, readJson } from './json-object.ts'

/** A claim as it was read, with what is needed to change it. */
export interface HeldClaim {
  readonly claim: Claim
  readonly etag: string
}

/** Names the claim that a step works under. */
export interface ClaimRef {
  readonly jobId: string
  readonly vmKey: string
  readonly token: string
}

/** Tries when claims come and go between create and read. */
const tries = 5

/** Takes the exclusive right to run the job's first attempt, or the first one since it was resumed. Key: the token; taken again with the
 * same token it answers `taken`. */
export const takeClaim = async (
  control: ControlStore,
  job: Job,
  token: string,
  now: Date,
  resumed?: Resumption,
): Promise<{ readonly kind: 'taken'; readonly claim: Claim } | { readonly kind: 'busy'; readonly claim: Claim }> => {
  const takenAt = now.toISOString()
  const first = { job, attempt: resumed?.attempt ?? 1, token, takenAt, startedAt: takenAt }
  const claim: Claim = resumed === undefined ? first : { ...first, resumed }
  for (let left = tries; left > 0; left--) {
    if ((await control.create(claimName(job), [encodeJson(claim)])) === 'created') return { kind: 'taken', claim }
    const held = await readClaim(control, job)
    if (held?.claim.token === token) return { kind: 'taken', claim: held.claim }
    if (held !== null) return { kind: 'busy', claim: held.claim }
  }
  throw new Error(`The claim of ${job.vmKey} changed ${tries} times while it was being taken. Start the job again.`)
}

/** The claim that covers the job's item, whoever holds it; null where nobody does. */
export const readClaim = async (
  control: BlobReader,
  job: { readonly jobId: string; readonly vmKey: string },
): Promise<HeldClaim | null> => {
  const object = await readJson<Claim>(control, claimName(job))
  return object === null ? null : noteSeen(control, { claim: object.value, etag: object.etag })
}

/** What this process saw last of some claims. It is no look at them: only the condition of a write, which fails where they have changed. */
const lastSeen = new WeakMap<BlobReader, Map<string, HeldClaim>>()
const lastSeenMax = 64

const noteSeen = (control: BlobReader, held: HeldClaim): HeldClaim => {
  const seen = lastSeen.get(control) ?? new Map<string, HeldClaim>()
  lastSeen.set(control, seen)
  keepLatest(seen, claimName(held.claim.job), held, lastSeenMax)
  return held
}

/** True while the step's attempt is the one that the claim names. */
export const isCurrent = async (control: BlobReader, ref: ClaimRef): Promise<boolean> =>
  (await readClaim(control, ref))?.claim.token === ref.token

/** The claim that a step of this attempt works under, asked for once, before the step changes anything. A worker may sleep behind the look: nothing
 * relies on it that counts, it spares others the work of late steps. */
export const claimOf = async (control: BlobReader, ref: ClaimRef): Promise<Claim | Failed> => {
  const held = await readClaim(control, ref)
  return held?.claim.token === ref.token ? held.claim : superseded
}

/** Changes the claim as it was seen last, else as it is read, until nobody has changed it in between.
 * @param change null: it stays as it is
 * @returns the claim behind it; null where there is none */
export const changeClaim = async (
  control: ControlStore,
  ref: Pick<ClaimRef, 'jobId' | 'vmKey'>,
  change: (held: HeldClaim) => Claim | null,
): Promise<HeldClaim | null> => {
  const replace = async (held: HeldClaim, claim: Claim): Promise<HeldClaim | null> => {
    const replaced = await control.replace(claimName(ref), encodeJson(claim), held.etag)
    return replaced.kind === 'replaced' ? noteSeen(control, { claim, etag: replaced.etag }) : null
  }
  const seen = lastSeen.get(control)?.get(claimName(ref))
  const guess = seen === undefined ? null : change(seen)
  const guessed = seen === undefined || guess === null ? null : await replace(seen, guess)
  if (guessed !== null) return guessed
  for (let left = tries; left > 0; left--) {
    const held = await readClaim(control, ref)
    if (held === null) return null
    const changed = change(held)
    if (changed === null) return held
    const replaced = await replace(held, changed)
    if (replaced !== null) return replaced
  }
  throw new Error(`The claim of ${ref.vmKey} changed ${tries} times while it was being marked. The step is repeated.`)
}

/** Says in the claim that its attempt is ending its accesses, before it does: a step that still gets one afterwards then ends it itself.
 * Repeatable. Null where the claim is another attempt's or nobody's. */
export const markClosing = async (control: ControlStore, ref: ClaimRef): Promise<HeldClaim | null> => {
  const behind = await changeClaim(control, ref, ({ claim }) =>
    claim.token !== ref.token || claim.isClosing ? null : ({ ...claim, isClosing: true } satisfies Claim),
  )
  return behind?.claim.token === ref.token ? behind : null
}

/** Gives the job to its next attempt under a new token, unless somebody changed the claim since it was read.
 * @param stopping what the next attempt is asked to stop for, unless it is already */
export const renewClaim = async (
  control: ControlStore,
  held: HeldClaim,
  token: string,
  now: Date,
  stopping?: StopReason,
): Promise<{ readonly kind: 'renewed'; readonly claim: Claim } | { readonly kind: 'changed' }> => {
  const { isClosing: _, ...open } = held.claim
  const asked = stopping === undefined ? {} : { stopping: open.stopping ?? stopping }
  const claim: Claim = { ...open, ...asked, attempt: open.attempt + 1, token, takenAt: now.toISOString() }
  const replaced = await control.replace(claimName(claim.job), encodeJson(claim), held.etag)
  return replaced.kind === 'replaced' ? { kind: 'renewed', claim } : { kind: 'changed' }
}

/** Ends the claim, unless somebody changed it since it was read. Repeatable. */
export const releaseClaim = async (control: ControlStore, held: HeldClaim): Promise<'removed' | 'absent' | 'changed'> =>
  control.remove(claimName(held.claim.job), held.etag)

/** All claims, one by one. Those that end while the list is read may be left out. */
export const listClaims = async function* (control: BlobReader): AsyncIterable<HeldClaim> {
  for await (const entry of control.list(claimPrefix)) {
    const object = await readJson<Claim>(control, entry.name)
    if (object !== null) yield { claim: object.value, etag: object.etag }
  }
}
