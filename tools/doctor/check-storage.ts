import { randomBytes } from 'node:crypto'
import type { SeenContainer } from '../../shared/azure/storage-survey.ts'
import type { ControlStore, VaultStore } from '../../shared/ports/blob-store.ts'
import type { Connected } from './connect.ts'
import { type Found, notChecked, ok, problem } from './finding.ts'

/** Below this prefix lies nothing else. */
const probePrefix = 'doctor/'

/** Whether the container of the vault is there and does what the vault relies on. One object is made and removed, unless a policy would keep it. */
export async function* checkVaultContainer({ config, survey, vault }: Connected): AsyncGenerator<Found> {
  const name = config.storage.vaultContainer
  const seen = await survey.container(name)
  if (seen.kind === 'absent') return yield absent(name, 'VAULT_CONTAINER')
  yield ok(`The container ${name} is there. ${rulesOf(seen)}`)
  yield softDelete(await survey.softDeleteDays())
  if (isKept(seen))
    return yield notChecked(
      `Writing to ${name}: its immutability policy would keep what the doctor writes. A backup shows it.`,
    )
  const probe = newProbe()
  yield* createConditionally(vault, name, probe, () => survey.keepsVersions(name, probe))
  const etag = (await vault.read(probe))?.etag ?? ''
  const purged = await vault.purge(probe, etag)
  yield purged === 'removed'
    ? ok(`What the doctor wrote to ${name} is removed.`)
    : problem(`${probe} in ${name} could not be removed (${purged}).`, `Remove ${probe} from ${name} by hand.`)
}

/** The same for the control container, where objects are also replaced. */
export async function* checkControlContainer({ config, survey, control }: Connected): AsyncGenerator<Found> {
  const name = config.storage.controlContainer
  const seen = await survey.container(name)
  if (seen.kind === 'absent') return yield absent(name, 'CONTROL_CONTAINER')
  if (isKept(seen))
    return yield problem(
      `The container ${name} is under an immutability policy or a legal hold: claims in it can never be released.`,
      'Name another container by CONTROL_CONTAINER, or take the policy off this one.',
    )
  yield ok(`The container ${name} is there. ${rulesOf(seen)}`)
  const probe = newProbe()
  yield* createConditionally(control, name, probe, null)
  yield await replaceConditionally(control, name, probe)
  const removed = await control.remove(probe)
  yield removed === 'removed'
    ? ok(`What the doctor wrote to ${name} is removed.`)
    : problem(`${probe} in ${name} was removed by somebody else.`, 'Run the doctor again.')
}

const newProbe = (): string => `${probePrefix}${randomBytes(8).toString('hex')}`

const isKept = (seen: SeenContainer): boolean =>
  seen.kind === 'found' && (seen.hasImmutabilityPolicy || seen.hasLegalHold)

const rulesOf = (seen: SeenContainer & { readonly kind: 'found' }): string =>
  [
    seen.hasImmutabilityPolicy ? 'It has an immutability policy.' : 'It has no immutability policy.',
    ...(seen.hasLegalHold ? ['It is under a legal hold.'] : []),
  ].join(' ')

const softDelete = (days: number | null | 'hidden'): Found => {
  if (days === 'hidden')
    return notChecked('Soft delete of blobs: a data role does not show it. Look at "Data protection" of the account.')
  return ok(
    days === null
      ? 'Soft delete of blobs is off: what somebody removes from the vault is gone.'
      : `Soft delete of blobs keeps what is removed for ${days} days.`,
  )
}

const absent = (name: string, setting: string): Found =>
  problem(
    `There is no container ${name} in the account.`,
    `Create it, with its policies if it is to have any, or correct ${setting}. Left alone, the first backup makes an empty one without policies.`,
  )

async function* createConditionally(
  store: VaultStore | ControlStore,
  container: string,
  probe: string,
  keepsVersions: (() => Promise<boolean>) | null,
): AsyncGenerator<Found> {
  const content = randomBytes(32)
  const first = await store.create(probe, [content])
  const second = await store.create(probe, [randomBytes(32)])
  const read = await store.read(probe)
  const isSame = read !== null && Buffer.compare(read.bytes, content) === 0
  if (first !== 'created' || second !== 'exists' || !isSame)
    return yield problem(
      `${container} does not keep the first of two objects of one name (If-None-Match): ${first}, then ${second}.`,
      'The vault cannot lie on such a storage. Take an account of Azure Blob Storage.',
    )
  yield ok(`${container}: an object is created once, by condition, and read back.`)
  if (keepsVersions !== null)
    yield ok(
      (await keepsVersions())
        ? 'Versioning is on: earlier versions of removed objects stay until a lifecycle rule ends them.'
        : 'Versioning is off.',
    )
}

const replaceConditionally = async (control: ControlStore, container: string, probe: string): Promise<Found> => {
  const etag = (await control.read(probe))?.etag ?? ''
  const first = await control.replace(probe, randomBytes(32), etag)
  const second = await control.replace(probe, randomBytes(32), etag)
  if (first.kind === 'replaced' && second.kind === 'changed')
    return ok(`${container}: an object is replaced by its ETag alone.`)
  return problem(
    `${container} replaces objects although they have changed (If-Match): ${first.kind}, then ${second.kind}.`,
    'Claims need conditional writes. Take an account of Azure Blob Storage.',
  )
}

/** Signed requests are refused from fifteen minutes on. */
const skewSecondsMax = 300

/** This machine's clock against that of the storage service. */
export async function* checkClock({ survey, clock }: Connected): AsyncGenerator<Found> {
  const beforeMs = clock.now().getTime()
  const serverMs = await survey.serverTimeMs()
  if (serverMs === null) return yield notChecked('The storage account does not answer.')
  const middleMs = (beforeMs + clock.now().getTime()) / 2
  const seconds = Math.round(Math.abs(middleMs - serverMs) / 1000)
  yield seconds <= skewSecondsMax
    ? ok(`The clock of this machine and that of the storage service agree (${seconds} s apart).`)
    : problem(
        `The clock of this machine is ${seconds} s ${middleMs > serverMs ? 'ahead of' : 'behind'} that of the storage service.`,
        'Set the clock by NTP. From fifteen minutes on, requests are refused, and windows and slots are wrong by as much.',
      )
}
