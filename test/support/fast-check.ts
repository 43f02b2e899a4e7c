import fc from 'fast-check'
import { seedOf } from './seed-of.ts'

/** Properties of one seed; FC_SEED=<seed> replays the one that a failure tells. */
fc.configureGlobal({ seed: seedOf('FC_SEED', 20_261_122) })

export { fc }
