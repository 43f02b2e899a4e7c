import type { LayerReference } from '../domain/recovery-point.ts'

/** A layer's stack, newest first. */
export type Stack = readonly LayerReference[]

/** So many layers of one size class become one of the next. */
const fanOut = 8
/** Layers up to this length are one class: folding them costs next to nothing. Each class is `fanOut` times the one before. */
const smallestClassBytes = 512 * 1024
/** Bounds the memory of a merge: a shard or two and a footer for each layer. */
const layersPerFoldMax = 16
/** Layers that no recovery point tells apart are folded once the smaller ones have this share of the largest one's length. */
const worthwhileShare = 0.5

/** The most layers that a stack has when nothing is left to fold: `fanOut - 1` of each size class up to the largest layer's.
 * @param largestBytes length of the stack's largest layer */
export const stackDepthMax = (largestBytes: number): number => (fanOut - 1) * (classOf(largestBytes) + 1)

/** The next fold of one disk's layers, newest first; null where nothing is to be gained. Repeated until then, each layer is written again a
 * bounded number of times, so the cost is that of the changes times the logarithm of their number.
 * @param stacks of the VM's recovery points that can be restored, newest point first
 * @param isShared true for layers that other VMs build on: they stay as they are, and so does everything below them */
export const chooseFold = (stacks: readonly Stack[], isShared: (layer: LayerReference) => boolean): Stack | null => {
  const own = distinct(stacks).map((stack) => foldablePart(stack, isShared))
  const untold = untoldPairs(stacks)
  for (const stack of own) {
    const fold = choose(stretches(stack, untold), worthwhile) ?? choose(classesOf(stack), crowded)
    if (fold !== null) return fold
  }
  return null
}

const classOf = (lengthBytes: number): number => {
  let size = 0
  for (let bytes = smallestClassBytes; lengthBytes >= bytes; bytes *= fanOut) size += 1
  return size
}

const distinct = (stacks: readonly Stack[]): readonly Stack[] => {
  const seen = new Map<string, Stack>()
  for (const stack of stacks) {
    const key = stack.map(({ layerId }) => layerId).join(' ')
    if (!seen.has(key)) seen.set(key, stack)
  }
  return [...seen.values()]
}

const foldablePart = (stack: Stack, isShared: (layer: LayerReference) => boolean): Stack => {
  const at = stack.findIndex(isShared)
  return at === -1 ? stack : stack.slice(0, at)
}

/** For each layer the one that lies on it in every stack that has it; absent where a recovery point ends with it or stacks differ: a fold across
 * that place would have to keep the layer for somebody. */
const untoldPairs = (stacks: readonly Stack[]): ReadonlyMap<string, string> => {
  const above = new Map<string, string | null>()
  for (const stack of stacks)
    for (const [index, { layerId }] of stack.entries()) {
      const upper = stack[index - 1]?.layerId ?? null
      if (!above.has(layerId)) above.set(layerId, upper)
      else if (above.get(layerId) !== upper) above.set(layerId, null)
    }
  return new Map([...above].flatMap(([layerId, upper]) => (upper === null ? [] : [[layerId, upper] as const])))
}

/** The longest parts of a stack inside which no recovery point ends. */
const stretches = (stack: Stack, untold: ReadonlyMap<string, string>): Stack[] => {
  const parts: LayerReference[][] = []
  for (const [index, layer] of stack.entries()) {
    const upper = stack[index - 1]
    if (upper !== undefined && untold.get(layer.layerId) === upper.layerId) parts.at(-1)?.push(layer)
    else parts.push([layer])
  }
  return parts
}

/** The parts of a stack of one size class each. A layer below a larger one counts as one of the larger one's class: otherwise small ones would pile
 * up between large ones. */
const classesOf = (stack: Stack): Stack[] => {
  const parts: LayerReference[][] = []
  let current = -1
  for (const layer of stack) {
    const size = Math.max(current, classOf(layer.lengthBytes))
    if (size === current) parts.at(-1)?.push(layer)
    else parts.push([layer])
    current = size
  }
  return parts
}

/** What speaks for folding some neighbours: lower is better; null for not at all. */
type Judge = (window: Stack, part: Stack) => number | null

/** The best window of the first part that has one; of equal ones the oldest, which most recovery points share. */
const choose = (parts: readonly Stack[], judge: Judge): Stack | null => {
  for (const part of parts) {
    let best: Stack | null = null
    let bestCost = Number.POSITIVE_INFINITY
    for (let from = part.length - 2; from >= 0; from -= 1)
      for (let count = 2; count <= layersPerFoldMax && from + count <= part.length; count += 1) {
        const window = part.slice(from, from + count)
        const cost = judge(window, part)
        if (cost === null || cost >= bestCost) continue
        best = window
        bestCost = cost
      }
    if (best !== null) return best
  }
  return null
}

const lengthOf = (window: Stack): number => window.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)

/** Bytes to be written for each layer that goes away. */
const costOf = (window: Stack): number => lengthOf(window) / (window.length - 1)

const worthwhile: Judge = (window) => {
  const largest = Math.max(...window.map(({ lengthBytes }) => lengthBytes))
  return lengthOf(window) - largest >= worthwhileShare * largest ? costOf(window) : null
}

const crowded: Judge = (window, part) => (part.length < fanOut || window.length > fanOut ? null : costOf(window))
