import { collectionModel } from './collection-model.ts'
import type { World } from './collection-state.ts'
import type { Model } from './explore.ts'
import { among, type Protocol } from './protocols.ts'
import { leftAfterQuiet } from './quiet-passes.ts'

/** Worlds by who acts in them: small ones for every check, the others for the slower tests. The first recovery point may always expire. */
export const worlds = {
  'a restore, a collection': { backups: 0, compaction: 'none', fences: false, collectors: 1 },
  'a backup, a collection': { backups: 1, compaction: 'none', restore: false, fences: false, collectors: 1 },
  'a backup, a collection, the supervisor': { backups: 1, compaction: 'none', restore: false, collectors: 1 },
  'a backup, two collections': { backups: 1, compaction: 'none', restore: false, fences: false },
  'a backup, two collections, the supervisor': { backups: 1, compaction: 'none', restore: false },
  'two backups one after the other, a collection': {
    backups: 2,
    claim: true,
    compaction: 'none',
    restore: false,
    fences: false,
    collectors: 1,
  },
  'two backups at a time, a collection': {
    backups: 2,
    compaction: 'none',
    restore: false,
    fences: false,
    collectors: 1,
  },
  'a fold that is fenced, a collection': { backups: 0, restore: false, collectors: 1 },
  'a fold twice under one id and fenced, a collection': { backups: 0, runs: 2, restore: false, collectors: 1 },
  'a rewrite that is fenced, a collection': { backups: 0, compaction: 'rewrite', restore: false, collectors: 1 },
  'a rewrite twice under one id, a collection': {
    backups: 0,
    compaction: 'rewrite',
    runs: 2,
    restore: false,
    fences: false,
    collectors: 1,
  },
  'a rewrite twice under one id and fenced, a collection': {
    backups: 0,
    compaction: 'rewrite',
    runs: 2,
    restore: false,
    collectors: 1,
  },
  'a regathering that is fenced, a collection': { backups: 0, compaction: 'regather', restore: false, collectors: 1 },
  'a regathering twice under one id, a collection': {
    backups: 0,
    compaction: 'regather',
    runs: 2,
    restore: false,
    fences: false,
    collectors: 1,
  },
  'a regathering twice under one id and fenced, a collection': {
    backups: 0,
    compaction: 'regather',
    runs: 2,
    restore: false,
    collectors: 1,
  },
  'a backup, a fold, a collection': { backups: 1, restore: false, fences: false, collectors: 1 },
  'a backup, a regathering, a collection': {
    backups: 1,
    compaction: 'regather',
    restore: false,
    fences: false,
    collectors: 1,
  },
  'a fold, a restore, a collection, the supervisor': { backups: 0, collectors: 1 },
  'a rewrite that is fenced, two collections': { backups: 0, compaction: 'rewrite', restore: false },
  'a backup, a rewrite twice under one id, a collection': {
    backups: 1,
    compaction: 'rewrite',
    runs: 2,
    restore: false,
    fences: false,
    collectors: 1,
  },
  /** The backup builds on the first recovery point, which alone is folded and expires. */
  'a backup, a fold, a collection, the supervisor': {
    backups: 1,
    restore: false,
    collectors: 1,
    expiring: 1,
    used: 1,
    restarts: false,
  },
  /** The last of the backups' recovery points is folded, and restored, while those before it expire. */
  'two backups one after the other, a fold, a restore, a collection': {
    backups: 2,
    claim: true,
    fences: false,
    collectors: 1,
    expiring: 3,
    used: 4,
    restarts: false,
  },
  'three backups one after the other, a fold, a collection': {
    backups: 3,
    claim: true,
    restore: false,
    fences: false,
    collectors: 1,
    expiring: 3,
    used: 4,
    restarts: false,
  },
} as const satisfies Readonly<Record<string, Partial<Protocol['actors']>>>

export type WorldName = keyof typeof worlds

export const inWorld = (name: WorldName, change: Partial<Protocol> = {}): Protocol => among(worlds[name], change)

/** Also says where two passes that nobody disturbs would leave garbage. */
export const withQuietPasses = (protocol: Protocol): Model<World> => {
  const model = collectionModel(protocol)
  return { ...model, violationOf: (world) => model.violationOf(world) ?? leftAfterQuiet(protocol, world) }
}
