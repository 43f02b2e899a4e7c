import { layersRoot, slicesRoot } from '../format/names.ts'
import { parseVaultName } from '../format/vault-name.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { compactionIdPrefix } from './compaction-intents.ts'

/** The layers and slices that there are, at one look for all who go by their names. */
export interface ListedIndexes {
  /** Lengths in bytes, by layer id. */
  readonly layers: ReadonlyMap<string, number>
  /** Ids of recovery points that have layers or slices. One that has neither an intent nor a commit record when these are read behind this look has lost
   * its record, as nobody makes anything without an intent, and no intent goes before the record is there. */
  readonly made: ReadonlySet<string>
}

/** To be asked before marks, intents and commit records. Memory: the names of all layers. */
export const listIndexes = async (vault: BlobReader, options: CallOptions): Promise<ListedIndexes> => {
  const layers = new Map<string, number>()
  const made = new Set<string>()
  for (const root of [layersRoot, slicesRoot])
    for await (const { name, lengthBytes } of vault.list(root, options)) {
      const parsed = parseVaultName(name)
      if (parsed.kind !== 'layer' && parsed.kind !== 'slice') continue
      if (parsed.kind === 'layer') layers.set(name.slice(layersRoot.length), lengthBytes)
      if (!parsed.id.startsWith(compactionIdPrefix)) made.add(parsed.id)
    }
  return { layers, made }
}
