import type { DiskRef } from '../domain/job-ref.ts'
import type { Moved } from '../domain/progress.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import { sliceProgressName, sliceProgressPrefix } from './control-names.ts'
import type { JobDeps } from './job-deps.ts'
import { encodeJson, readJson } from './json-object.ts'

/** What a slice that is being moved has done so far. */
type Part = Omit<Moved, 'slicesDone'>

/** Time between two notes of one slice: often enough to look alive, some hundred small writes an hour. */
const noteEveryMs = 3_000

/** Notes how far a slice is, for whoever looks at the job; the last writer wins. A note that cannot be written is left out: it serves
 * nothing but the eye.
 * @returns `note`, to be told of progress at any rate, and `end`, to be awaited when the slice has ended, which removes the note */
export const sliceProgress = (
  deps: Pick<JobDeps, 'clock' | 'control'>,
  ref: Pick<DiskRef, 'recoveryPointId' | 'disk'>,
  slice: number,
): { readonly note: (part: Part) => void; readonly end: () => Promise<void> } => {
  const name = sliceProgressName(ref.recoveryPointId, ref.disk, slice)
  let notedAtMs = Number.NEGATIVE_INFINITY
  let writing: Promise<unknown> = Promise.resolve()
  return {
    note: ({ doneBytes, readBytes, storedBytes }) => {
      const nowMs = deps.clock.now().getTime()
      if (nowMs - notedAtMs < noteEveryMs) return
      notedAtMs = nowMs
      const part: Part = { doneBytes, readBytes, storedBytes }
      writing = writing.then(() => deps.control.put(name, encodeJson(part))).catch(() => undefined)
    },
    end: async () => {
      await writing
      await deps.control.remove(name).catch(() => undefined)
    },
  }
}

/** What the slices of a disk have done that are being moved just now. Empty where none is, or none has been noted yet. */
export const readSliceProgress = async (
  control: BlobReader,
  ref: Pick<DiskRef, 'recoveryPointId' | 'disk'>,
): Promise<readonly Moved[]> => {
  const parts: Moved[] = []
  for await (const { name } of control.list(sliceProgressPrefix(ref.recoveryPointId, ref.disk))) {
    const part = (await readJson<Part>(control, name))?.value
    if (part !== undefined) parts.push({ ...part, slicesDone: 0 })
  }
  return parts
}
