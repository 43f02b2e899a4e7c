import { digestHex } from '../format/digest.ts'
import { imageBasesRoot } from '../format/names.ts'
import type { BlobReader, CallOptions, ControlStore } from '../ports/blob-store.ts'
import { listCompactions } from './compaction-intents.ts'
import { listDamage } from './damage-reports.ts'
import { type ListedVm, newestOf } from './list-vm-keys.ts'
import { markOf } from './mark-vm.ts'
import { type PointMark, type VmMarks, writeMarks } from './vm-marks.ts'

/** What compaction goes by besides the VM's own records. */
export interface AroundVms {
  /** Names and ETags of the image bases: what is shared is left alone. */
  readonly bases: readonly string[]
  /** Keys of VMs with a compaction that somebody declared, or with damage: these are always looked at. */
  readonly restless: ReadonlySet<string>
}

/** Read once for many VMs. */
export const lookAround = async (control: BlobReader, options: CallOptions = {}): Promise<AroundVms> => {
  const bases: string[] = []
  for await (const { name, etag } of control.list(imageBasesRoot, options)) bases.push(`${name} ${etag}`)
  const restless = new Set((await listCompactions(control, null, options)).map(({ vmKey }) => vmKey))
  for await (const { vmKey } of listDamage(control, null, options)) restless.add(vmKey)
  return { bases, restless }
}

/** Counts up when compaction goes by other rules: all VMs are looked at again. */
const rulesVersion = 1

/** What compaction finds follows from a VM's newest records, which never change, the indexes that they name, and the image bases. So where it found
 * nothing to do and all of these are the same objects, there is nothing to do.
 * @returns what stands for them, as it is kept in the marks; compared with it, `isSettled` tells */
const settlingOf = (vm: ListedVm, { bases }: AroundVms): string => {
  const records = vm.records.map(({ name, etag }) => `${name} ${etag}`)
  return digestHex(Buffer.from(JSON.stringify([rulesVersion, bases, records])))
}

/** True where compaction found nothing to do for the VM before, and finds nothing to do again. Reads nothing. */
export const isSettled = (vm: ListedVm, marks: VmMarks, around: AroundVms): boolean =>
  !around.restless.has(vm.vmKey) && marks.settled === settlingOf(vm, around)

/** A quarter of what the VM has: reading all indexes of its disks once for each quarter of them that is new costs a few times what is new. */
const searchedFor = 4

/** Whether as many of the VM's recovery points have come, ended or been re-pointed since sparse data was last searched for that it is worth
 * reading the indexes. */
export const isWorthSearching = (vm: ListedVm, marks: VmMarks): boolean => {
  let live = 0
  let changed = 0
  for (const listed of newestOf(vm)) {
    const mark = markOf(marks, listed)
    if (mark === null || mark.state === 'live') live += 1
    if (mark?.isSearched !== true) changed += 1
  }
  return changed * searchedFor >= live
}

/** Notes that compaction found nothing to do. */
export const noteSettled = async (
  control: ControlStore,
  vm: ListedVm,
  marks: VmMarks,
  { around, hasSearched }: { readonly around: AroundVms; readonly hasSearched: boolean },
  options: CallOptions = {},
): Promise<void> => {
  const points = new Map<string, PointMark>()
  for (const [id, mark] of marks.points) points.set(id, hasSearched ? { ...mark, isSearched: true } : mark)
  await writeMarks(control, vm.vmKey, { ...marks, points, settled: settlingOf(vm, around) }, options)
}
