import type { AccessTier, BlobContent, BlobEntry } from '../../shared/ports/blob-store.ts'

/** What a storage account may lay under a container, as Azure Blob Storage documents it. Azurite answers 501 to all of it. */
export interface RulesGiven {
  /** Time-based retention of the container, locked or not: until then an object can be neither removed nor overwritten. */
  readonly immutableDays?: number
  /** Removal and overwriting leave an earlier version. */
  readonly versioning?: boolean
  /** Removed objects can be brought back for so many days. */
  readonly softDeleteDays?: number
  readonly tierOf?: (name: string) => AccessTier
  readonly now?: () => Date
}

/** The rules with their memory: when objects were made, what was removed and is only hidden, what removal cost. */
export interface StorageRules {
  /** A legal hold outlasts every policy. */
  readonly legalHolds: Set<string>
  /** Versions and soft-deleted objects, by name, oldest first. */
  readonly hidden: Map<string, BlobContent[]>
  /** Names of objects that were removed before their tier's minimum time: the rest of it is charged. */
  readonly chargedEarly: string[]
  isRetained(name: string): boolean
  hide(name: string, content: BlobContent): void
  /** @throws Error where an immutable object would be overwritten: nothing in the vault may do that */
  overwrite(name: string, before: BlobContent | undefined): void
  entryOf(name: string): Pick<BlobEntry, 'createdAt' | 'tier'>
  /** What an operator does in the portal: the newest hidden content comes back. */
  bringBack(objects: Map<string, BlobContent>, name: string): boolean
}

const dayMs = 24 * 3600 * 1000

/** Azure: removing earlier is charged as if the object had stayed (Cool 30 days, Cold 90 days). */
const minimumDays = { Hot: 0, Cool: 30, Cold: 90 } as const satisfies Record<AccessTier, number>

export const createStorageRules = (given: RulesGiven = {}): StorageRules => {
  const made = new Map<string, Date>()
  const now = given.now ?? (() => new Date())
  const ageDays = (name: string): number => (now().getTime() - (made.get(name) ?? now()).getTime()) / dayMs
  const keep = (name: string, content: BlobContent): void => {
    if (given.versioning === true || given.softDeleteDays !== undefined)
      rules.hidden.set(name, [...(rules.hidden.get(name) ?? []), content])
  }
  const rules: StorageRules = {
    legalHolds: new Set(),
    hidden: new Map(),
    chargedEarly: [],
    isRetained: (name) =>
      rules.legalHolds.has(name) || (given.immutableDays !== undefined && ageDays(name) < given.immutableDays),
    hide: (name, content) => {
      if (ageDays(name) < minimumDays[given.tierOf?.(name) ?? 'Hot']) rules.chargedEarly.push(name)
      keep(name, content)
    },
    overwrite: (name, before) => {
      if (before !== undefined && rules.isRetained(name)) throw new Error(`${name} is immutable and was overwritten`)
      if (before !== undefined) keep(name, before)
      made.set(name, now())
    },
    entryOf: (name) => {
      const createdAt = made.get(name)
      const tier = given.tierOf?.(name)
      return { ...(createdAt === undefined ? {} : { createdAt }), ...(tier === undefined ? {} : { tier }) }
    },
    bringBack: (objects, name) => {
      const content = rules.hidden.get(name)?.pop()
      if (content === undefined || objects.has(name)) return false
      objects.set(name, content)
      return true
    },
  }
  return rules
}
