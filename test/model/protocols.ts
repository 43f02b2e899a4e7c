/** The protocol as it is checked, and the ways in which it can be got wrong. */
export interface Protocol {
  readonly actors: {
    /** Backups that follow on the first recovery point. */
    readonly backups: number
    /** One backup of the VM at a time, by its claim: the next one begins when the one before has ended, or is given up. */
    readonly claim: boolean
    readonly compaction: 'none' | 'fold' | 'rewrite' | 'regather'
    readonly runs: number
    readonly restore: boolean
    /** Bits: recovery points that may expire; those that may be compacted, or restored. */
    readonly expiring: number
    readonly used: number
    /** A worker that plans a backup may die and begin again. */
    readonly restarts: boolean
    readonly collectors: number
    /** The supervisor takes a running backup for abandoned, or another compaction of the VM a declared one. */
    readonly fences: boolean
  }
  /** `live`: after its intent, a backup reads the base's record again. `exists`: it only looks whether the objects are there. */
  readonly handshake: 'live' | 'exists'
  readonly readsCondemned: boolean
  /** A second process takes up a pass whose first process may still run. */
  readonly resumesPasses: boolean
  readonly mark: 'own' | 'shared'
  readonly endsLists: 'emptied' | 'always'
  readonly writesIntents: boolean
  readonly order: 'intentsThenRecords' | 'recordsThenIntents'
  /** Behind its list. */
  readonly looksAgain: 'atBoth' | 'atIntents' | 'atNothing'
  /** Recovery points of which all revisions are marked where a later look finds them first: `named` by an intent that was read before. */
  readonly marksFoundLater: 'all' | 'named' | 'none'
  readonly keepsUnnamed: 'layersAndSegments' | 'layers' | 'nothing'
  readonly frees: 'unnamedSegments' | 'segmentsOfCondemned'
  readonly learnsCompactions: 'beforeIntents' | 'afterIntents'
  readonly dropsIntent: 'afterCommit' | 'beforeCommit'
  readonly foldFence: 'nextRevision' | 'none'
  readonly foldWaits: boolean
  readonly checksRevisions: boolean
  readonly attempts: 'own' | 'reused'
  readonly provesSegments: boolean
  readonly restoreIntent: 'first' | 'afterRecord' | 'none'
}

const everybody: Protocol['actors'] = {
  backups: 2,
  claim: false,
  compaction: 'fold',
  runs: 1,
  restore: true,
  expiring: 15,
  used: 15,
  restarts: true,
  collectors: 2,
  fences: true,
}
const asBuilt: Omit<Protocol, 'actors'> = {
  handshake: 'live',
  readsCondemned: true,
  resumesPasses: true,
  mark: 'own',
  endsLists: 'emptied',
  writesIntents: true,
  order: 'intentsThenRecords',
  looksAgain: 'atBoth',
  marksFoundLater: 'all',
  keepsUnnamed: 'layersAndSegments',
  frees: 'unnamedSegments',
  learnsCompactions: 'beforeIntents',
  dropsIntent: 'afterCommit',
  foldFence: 'nextRevision',
  foldWaits: true,
  checksRevisions: true,
  attempts: 'own',
  provesSegments: true,
  restoreIntent: 'first',
}

/** The protocol as it is built, among some of the actors, with some of its rules changed. */
export const among = (actors: Partial<Protocol['actors']>, change: Partial<Protocol> = {}): Protocol => ({
  ...asBuilt,
  ...change,
  actors: { ...everybody, ...actors },
})
