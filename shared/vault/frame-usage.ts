import type { FramePlace } from '../format/frame.ts'
import type { PlacedRun } from '../format/shard-builder.ts'
import { attemptOf } from './open-frames.ts'

/** Where a frame lies, and how much of it runs show. */
export interface FrameUsage {
  readonly segment: string
  readonly placeBytes: number
  /** Header and payload. */
  readonly storedBytes: number
  readonly plainBytes: number
  readonly shownBytes: number
  readonly runs: number
  /** The attempt that made it: all its frames are encrypted under one key, or none is. */
  readonly attempt: string
}

/** Tells frames apart, also where two shards list the same one. */
export const placeOf = ({ segment, placeBytes }: Pick<FramePlace, 'segment' | 'placeBytes'>): string =>
  `${segment}@${placeBytes}`

/** What runs show of each frame that they name. The frames of one attempt come in order of offset, so a frame is through when the next of its
 * attempt begins. Memory: some 200 bytes for each attempt, whatever the number of frames.
 * @param runs in order of offset */
export async function* frameUsages(runs: AsyncIterable<PlacedRun>): AsyncGenerator<FrameUsage> {
  const open = new Map<string, { -readonly [Field in keyof FrameUsage]: FrameUsage[Field] }>()
  for await (const { frame, lengthBytes } of runs) {
    if (frame === null) continue
    const { segment, placeBytes, storedBytes, plainBytes } = frame
    const attempt = attemptOf(frame)
    const last = open.get(attempt)
    if (last !== undefined && last.placeBytes === placeBytes && last.segment === segment) {
      last.shownBytes += lengthBytes
      last.runs += 1
      continue
    }
    if (last !== undefined) yield last
    open.set(attempt, { segment, placeBytes, storedBytes, plainBytes, shownBytes: lengthBytes, runs: 1, attempt })
  }
  yield* open.values()
}
