import { releaseMemory } from '../format/release-memory.ts'

/** Smaller buffers are cheap to make and to collect. */
const keptBufferBytesMin = 256 * 1024
/** Somewhat more than one slice takes. */
const keptBytesMax = 48 * 1024 * 1024

/** Oldest first. Each thread has its own, as it has this module. */
const kept: Buffer[] = []

/** Memory for a large buffer, not cleared: such as was given back, else new. A slice takes the memory of the one before it: made and
 * freed for each slice anew, large buffers leave holes behind that the process keeps. */
export const takeMemory = (lengthBytes: number): Buffer => {
  if (lengthBytes < keptBufferBytesMin) return Buffer.allocUnsafeSlow(lengthBytes)
  const found = bestFit(lengthBytes)
  if (found !== null) return found.subarray(0, lengthBytes)
  // What is of no use here makes room, so that what is kept does not come on top of what is used.
  for (let freedBytes = 0; freedBytes < lengthBytes && kept.length > 0; ) freedBytes += dropOldest()
  return Buffer.allocUnsafeSlow(lengthBytes)
}

/** @param memory came from `takeMemory`; nobody reads or writes it any more, in flight neither */
export const giveBackMemory = (memory: Buffer): void => {
  if (memory.buffer.byteLength < keptBufferBytesMin) return
  kept.push(Buffer.from(memory.buffer))
  for (let bytes = keptBytes(); bytes > keptBytesMax; ) bytes -= dropOldest()
}

/** Gives all that is kept back to the system: where slices are over, it would only come on top of what follows. */
export const dropKeptMemory = (): void => {
  while (kept.length > 0) dropOldest()
}

/** The smallest that is large enough, unless more than half of it would lie idle. */
const bestFit = (lengthBytes: number): Buffer | null => {
  let best = -1
  for (const [at, { length }] of kept.entries()) {
    if (length < lengthBytes || length > lengthBytes * 2) continue
    if (best < 0 || length < (kept[best]?.length ?? 0)) best = at
  }
  return best < 0 ? null : (kept.splice(best, 1)[0] ?? null)
}

const dropOldest = (): number => {
  const memory = kept.shift()
  if (memory === undefined) return 0
  const { length } = memory
  releaseMemory(memory)
  return length
}

const keptBytes = (): number => kept.reduce((sum, { length }) => sum + length, 0)
