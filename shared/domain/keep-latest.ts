/** Puts an entry into a map, behind all others, and drops those that have been in it longest until no more than `entriesMax` are left.
 * @param kept goes by nothing but this function: a map keeps the order in which its keys came */
export const keepLatest = <Key, Value>(kept: Map<Key, Value>, key: Key, value: Value, entriesMax: number): void => {
  kept.delete(key)
  kept.set(key, value)
  for (const oldest of kept.keys()) {
    if (kept.size <= entriesMax) return
    kept.delete(oldest)
  }
}
