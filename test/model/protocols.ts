import type { Protocol } from './collection-steps.ts'

const everybody = { backups: 2, fold: true, restore: true, collectors: 2, fences: true }
const asBuilt: Protocol = {
  actors: everybody,
  handshake: 'live',
  resumesPasses: true,
  mark: 'own',
  writesIntents: true,
  rereads: 'intentsThenRecords',
  dropsIntent: 'afterCommit',
  foldFence: 'nextRevision',
  restoreIntent: 'first',
}
/** The protocol as it is built, among some of the actors, with some of its rules changed. */
export const among = (actors: Partial<Protocol['actors']>, change: Partial<Protocol> = {}): Protocol => ({
  ...asBuilt,
  ...change,
  actors: { ...everybody, ...actors },
})
