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
      // Nobody destroys an old version while the record of a key may be damaged.
      const isSound = ![...history.everDamaged].some((name) => name.startsWith('keys/'))
      if (isWhole && isSound && history.sleepers.length === 0) wrapper.forgetOld()
    },
  })
}
