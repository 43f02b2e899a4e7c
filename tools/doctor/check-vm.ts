import { randomBytes } from 'node:crypto'
import { sasApiVersion } from '../../shared/azure/page-range-listing.ts'
import { recoveryPointIdOf } from '../../shared/domain/ids.ts'
import type { Failed, Pending } from '../../shared/domain/job-ref.ts'
import { consistencyFor } from '../../shared/domain/policy.ts'
import type { VmDescription } from '../../shared/domain/vm.ts'
import { safeText } from '../../shared/jobs/step-failure.ts'
import type { SnapshotSet } from '../../shared/ports/compute.ts'
import { type DiskReader, SourceError } from '../../shared/ports/disk-reader.ts'
import { readerHint } from './check-compute.ts'
import type { Connected } from './connect.ts'
import { type Found, ok, problem, problemOf } from './finding.ts'

/** The deeper part, on one VM. */
export interface VmTrial {
  readonly vmId: string
  /** Names the restore point collection of this run, so that none of the app's is touched: `deltavault-<key>`. */
  readonly key: string
  /** Breaks the waits off; what was made is removed all the same. */
  readonly signal?: AbortSignal
}

export const vmTrialOf = (vmId: string, signal?: AbortSignal): VmTrial => ({
  vmId,
  key: `doctor-${randomBytes(8).toString('hex')}`,
  ...(signal === undefined ? {} : { signal }),
})

export const collectionOf = ({ key }: VmTrial): string => `deltavault-${key}`

const snapshotHint =
  'Give the identity the role Disk Snapshot Contributor and the action Microsoft.Compute/restorePointCollections/* on the resource groups of the VM and its disks.'
const waitMinutesMax = 30
const accessSeconds = 3600
/** One access may be waited for so long at once. */
const grantWaitMs = 20_000
const sampleBytesMax = 64 * 1024

/** Takes two restore points of the VM one after another, reads a little of its first disk, and what the platform says has changed between
 * the two. Everything that it made is removed at the end, also after a fault. */
export async function* checkVm(connected: Connected, trial: VmTrial): AsyncGenerator<Found> {
  const found = await connected.inventory.find(trial.vmId)
  if (found === null) return yield problem('The VM does not exist, or may not be read.', readerHint)
  const [disk] = found.disks
  if (disk === undefined) return yield problem('The VM has no disk that can be backed up.', 'Take another VM.')
  const vm = { ...found, vmKey: trial.key }
  try {
    yield* takeAndRead(connected, trial, vm, disk.disk)
  } catch (error) {
    yield problemOf(error, snapshotHint)
  } finally {
    yield await removeAll(connected, vm, trial)
  }
}

async function* takeAndRead(
  connected: Connected,
  trial: VmTrial,
  vm: VmDescription,
  disk: string,
): AsyncGenerator<Found> {
  const urls: string[] = []
  for (const which of ['first', 'second'] as const) {
    const taken = await take(connected, trial, vm, disk)
    if (taken.kind === 'failed') return yield refused(`The ${which} restore point could not be taken`, taken)
    yield ok(`The ${which} restore point is taken (consistency ${taken.snapshots.consistency}).`)
    const source = taken.snapshots.disks[0]!.source.resourceId
    const { access } = connected
    const grant = () => access.grantRead(source, accessSeconds, grantWaitMs)
    const granted = await settled(connected, trial.signal, grant)
    if (granted.kind === 'failed') return yield refused('Access to the disk restore point was refused', granted)
    urls.push(granted.sasUrl)
  }
  yield ok('Access to both copies of the disk is granted.')
  const [earlier = '', later = ''] = urls
  yield* withReader(connected.openReader(earlier, null), readSample)
  yield* withReader(connected.openReader(later, earlier), readChanges)
}

const take = (
  connected: Connected,
  { key, signal }: VmTrial,
  vm: VmDescription,
  disk: string,
): Promise<{ readonly kind: 'ready'; readonly snapshots: SnapshotSet } | Failed> => {
  const recoveryPointId = recoveryPointIdOf(connected.clock.now(), `${key}-${randomBytes(5).toString('hex')}`)
  const request = { vm, recoveryPointId, consistency: consistencyFor(vm), disks: [disk] }
  return settled(connected, signal, () => connected.restorePoints.ensure(request))
}

async function* withReader(
  reader: DiskReader,
  use: (reader: DiskReader) => AsyncIterable<Found>,
): AsyncGenerator<Found> {
  try {
    yield* use(reader)
  } finally {
    reader.close()
  }
}

async function* readSample(reader: DiskReader): AsyncGenerator<Found> {
  const sizeBytes = await reader.sizeBytes()
  yield ok(`HEAD tells the size of the disk: ${sizeBytes} bytes.`)
  const first = await firstRange(reader)
  yield ok(`Get Page Ranges answers (x-ms-version ${sasApiVersion}): ${told(first)}.`)
  if (first === null) return
  const sample = new Uint8Array(Math.min(sampleBytesMax, first.lengthBytes))
  await reader.readInto(sample, first.offsetBytes)
  yield ok(`A read of ${sample.byteLength} bytes at ${first.offsetBytes} answers.`)
}

async function* readChanges(reader: DiskReader): AsyncGenerator<Found> {
  try {
    yield ok(`Get Page Ranges with the earlier copy answers: ${told(await firstRange(reader))}.`)
  } catch (error) {
    if (!(error instanceof SourceError) || error.fault.code !== 'diff-unsupported') throw error
    yield problem(
      `The platform does not compare the two copies (${error.fault.serviceCode}).`,
      'Every backup of this VM would read all allocated ranges. Name the code to the support of Azure.',
    )
  }
}

const firstRange = async (reader: DiskReader) => {
  for await (const [first] of reader.listRanges(null)) if (first !== undefined) return first
  return null
}

const told = (range: { readonly offsetBytes: number; readonly lengthBytes: number } | null): string =>
  range === null ? 'no range' : `the first range has ${range.lengthBytes} bytes at ${range.offsetBytes}`

/** Ends all access, removes the restore points of this run and then their collection. Waits that were broken off are begun anew. */
const removeAll = async (connected: Connected, vm: VmDescription, trial: VmTrial): Promise<Found> => {
  const left = `Remove the restore point collection ${collectionOf(trial)} by hand: end the access to its disk restore points first.`
  try {
    const released = await settled(connected, undefined, () => connected.restorePoints.release(vm, []))
    if (released.kind === 'failed') return { ...refused('What was made could not be removed', released), hint: left }
    const removed = await settled(connected, undefined, () => connected.removeEmptyCollection(vm))
    if (removed.kind === 'failed') return { ...refused('What was made could not be removed', removed), hint: left }
    return ok('The accesses have ended; the restore points and their collection are removed.')
  } catch (error) {
    return problemOf(error, left)
  }
}

const refused = (what: string, { reason, message, hint }: Failed): Found & { readonly kind: 'problem' } => ({
  kind: 'problem',
  message: safeText(`${what} (${reason}): ${message}`),
  hint: reason === 'not-authorized' ? snapshotHint : hint,
})

/** Asks again for as long as the platform says to wait. */
const settled = async <T extends { readonly kind: string }>(
  { clock }: Connected,
  signal: AbortSignal | undefined,
  ask: () => Promise<T | Pending>,
): Promise<Exclude<T, Pending>> => {
  const untilMs = clock.now().getTime() + waitMinutesMax * 60_000
  for (;;) {
    signal?.throwIfAborted()
    const answer = await ask()
    if (!isPending(answer)) return answer as Exclude<T, Pending>
    if (clock.now().getTime() > untilMs) throw new Error(`The platform was not ready within ${waitMinutesMax} minutes.`)
    await clock.sleep(answer.retryAfterSeconds * 1000, signal)
  }
}

const isPending = (answer: { readonly kind: string }): answer is Pending => answer.kind === 'pending'
