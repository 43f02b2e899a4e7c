/** A model whose states are found one from another. A state is packed into `words` unsigned 32-bit numbers: equal states, equal words. */
export interface Model<State> {
  readonly words: number
  readonly initial: State
  pack(state: State, into: Uint32Array): void
  unpack(words: Uint32Array): State
  /** Every state that one step of one actor leads to; the step's name tells a counterexample. */
  steps(state: State): Iterable<{ readonly step: string; readonly next: State }>
  /** What is wrong with the state; null where nothing is. */
  violationOf(state: State): string | null
}

export interface Exploration {
  readonly states: number
  readonly badStates: number
  /** The shortest way to the first bad state, as names of steps, and what is wrong there; null where all states are good. */
  readonly counterexample: { readonly steps: readonly string[]; readonly violation: string } | null
}

/** Visits every state that can be reached, breadth first. States behind a bad one are visited too, so that bad states can be counted.
 * @param statesMax more are taken for a model that was made too large
 * @param isEnough true to end at the first bad state: `states` and `badStates` then count what was found so far
 * @throws Error above `statesMax` */
export const explore = <State>(model: Model<State>, statesMax = 6_000_000, isEnough = false): Exploration => {
  const { words } = model
  const found = createStateTable(words)
  const packed = new Uint32Array(words)
  model.pack(model.initial, packed)
  found.add(packed, -1, 'start')
  let badStates = 0
  let firstBad: { readonly index: number; readonly violation: string } | null = null
  for (let index = 0; index < found.count(); index += 1) {
    if (found.count() > statesMax) throw new Error(`the model has more than ${statesMax} states`)
    const state = model.unpack(found.wordsOf(index))
    const violation = model.violationOf(state)
    if (violation !== null) {
      badStates += 1
      firstBad ??= { index, violation }
      if (isEnough) break
    }
    for (const { step, next } of model.steps(state)) {
      model.pack(next, packed)
      found.add(packed, index, step)
    }
  }
  const counterexample =
    firstBad === null ? null : { steps: found.wayTo(firstBad.index), violation: firstBad.violation }
  return { states: found.count(), badStates, counterexample }
}

/** States in order of their finding, with a hash table over them: one state takes a few words, not an object. */
const createStateTable = (words: number) => {
  let states = new Uint32Array(words << 16)
  let slots = new Int32Array(1 << 18).fill(-1)
  const parents: number[] = []
  const steps: string[] = []
  let count = 0
  const hashOf = (from: Uint32Array, at: number): number => {
    let hash = 0x9e3779b9
    for (let word = 0; word < words; word += 1) {
      hash = Math.imul(hash ^ (from[at + word] as number), 0x85ebca6b)
      hash ^= hash >>> 15
    }
    return hash >>> 0
  }
  const isAt = (index: number, packed: Uint32Array): boolean => {
    for (let word = 0; word < words; word += 1) if (states[index * words + word] !== packed[word]) return false
    return true
  }
  const slotOf = (packed: Uint32Array, at: number, isSame: (index: number) => boolean): number => {
    let slot = hashOf(packed, at) & (slots.length - 1)
    while (slots[slot] !== -1 && !isSame(slots[slot] as number)) slot = (slot + 1) & (slots.length - 1)
    return slot
  }
  const grow = (): void => {
    slots = new Int32Array(slots.length * 2).fill(-1)
    for (let index = 0; index < count; index += 1) slots[slotOf(states, index * words, () => false)] = index
  }
  return {
    count: (): number => count,
    wordsOf: (index: number): Uint32Array => states.subarray(index * words, (index + 1) * words),
    add: (packed: Uint32Array, parent: number, step: string): void => {
      const slot = slotOf(packed, 0, (index) => isAt(index, packed))
      if (slots[slot] !== -1) return
      if ((count + 1) * words > states.length) {
        const larger = new Uint32Array(states.length * 2)
        larger.set(states)
        states = larger
      }
      states.set(packed, count * words)
      slots[slot] = count
      parents.push(parent)
      steps.push(step)
      count += 1
      if (count * 2 > slots.length) grow()
    },
    wayTo: (index: number): string[] => {
      const way: string[] = []
      for (let at = index; at > 0; at = parents[at] as number) way.unshift(steps[at] as string)
      return way
    },
  }
}
