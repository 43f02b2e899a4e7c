import { randomBytes } from 'node:crypto'
import type { SeenContainer } from '../../shared/azure/storage-survey.ts'
import type { ControlStore, VaultStore } from '../../shared/ports/blob-store.ts'
import type { Connected } from './connect.ts'
import { type Found, notChecked, ok, problem, problemOf } from './finding.ts'

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
  yield* withProbe(vault, name, probe, removeFromVault(vault), async function* (content) {
    yield await provenOnce(vault, name, probe, content)
    yield ok((await survey.keepsVersions(name, probe)) ? versioned : 'Versioning is off.')
  })
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
  const remove = () => control.remove(probe)
  yield* withProbe(control, name, probe, remove, async function* (content) {
    yield await provenOnce(control, name, probe, content)
    yield await replacedByEtag(control, name, probe)
  })
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

const versioned = 'Versioning is on: earlier versions of removed objects stay until a lifecycle rule ends them.'

const removeFromVault = (vault: VaultStore) => async (probe: string) =>
  vault.purge(probe, (await vault.read(probe))?.etag ?? '')

/** Makes an object, and removes it after its use, also after a fault. What could not be removed is named. */
async function* withProbe(
  store: VaultStore | ControlStore,
  container: string,
  probe: string,
  remove: (probe: string) => Promise<string>,
  use: (content: Uint8Array) => AsyncIterable<Found>,
): AsyncGenerator<Found> {
  const content = randomBytes(32)
  await store.create(probe, [content])
  const byHand = `Remove ${probe} from the container ${container} by hand.`
  try {
    yield* use(content)
  } finally {
    const removed = await remove(probe).catch((error: unknown) => problemOf(error, byHand))
    if (typeof removed === 'object') yield removed
    else
      yield removed === 'removed'
        ? ok(`What the doctor wrote to ${container} is removed.`)
        : problem(`${probe} in ${container} could not be removed (${removed}).`, byHand)
  }
}

const provenOnce = async (
  store: VaultStore | ControlStore,
  container: string,
  probe: string,
  content: Uint8Array,
): Promise<Found> => {
  const second = await store.create(probe, [randomBytes(32)])
  const read = await store.read(probe)
  if (second === 'exists' && read !== null && Buffer.compare(read.bytes, content) === 0)
    return ok(`${container}: an object is created once, by condition, and read back.`)
  return problem(
    `${container} does not keep the first of two objects of one name (If-None-Match).`,
    'The vault cannot lie on such a storage. Take an account of Azure Blob Storage.',
  )
}

const replacedByEtag = async (control: ControlStore, container: string, probe: string): Promise<Found> => {
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
