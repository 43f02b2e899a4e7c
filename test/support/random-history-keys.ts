import { type History, launch } from './random-history-model.ts'
import type { SeededRandom } from './seeded-random.ts'

export const rotateDataKey = (history: History, random: SeededRandom): Promise<string> =>
  launch(history, random, {
    told: 'data key',
    run: async ({ keys }) => ((await keys.rotateDataKey()) === null ? 'nothing to do' : 'changed'),
  })

/** A newer version of the wrapping key; where all data keys are wrapped by it and nobody is at work, the older ones are destroyed. */
export const rotateWrappingKey = async (history: History, random: SeededRandom): Promise<string> => {
  const { wrapper } = history.world
  if (wrapper === null) return 'nothing to do'
  if (random.below(3) > 0) wrapper.rotate()
  let isWhole = false
  return launch(history, random, {
    told: 'wrapping key',
    run: async ({ keys }) => {
      const rewrapped = (await keys.rotateWrappingKey()) ?? []
      isWhole = rewrapped.every(({ kind }) => kind !== 'failed')
      return rewrapped.map(({ kind }) => kind).join(', ')
    },
    settled: () => {
      if (isWhole && !hasLostKey(history) && history.sleepers.length === 0) wrapper.forgetOld()
    },
  })
}

/** True while all records of a data key are gone. Of one that is neither the current one nor reported nothing tells, so that a rotation cannot know that
 * it will need the old version once it is brought back. */
const hasLostKey = ({ damaged, world }: History): boolean => {
  const left = [...world.vault.objects.keys()]
  return [...damaged].some(([name, { after }]) => {
    const key = name.slice(0, name.lastIndexOf('/') + 1)
    return after === null && name.startsWith('keys/') && !left.some((one) => one.startsWith(key))
  })
}
