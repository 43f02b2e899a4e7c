/** How often something changed. */
export interface ChangeCount {
  count: number
}

/** A copy of a map that counts what is put in and taken out. */
export const countedMap = <Value>(changes: ChangeCount, from: Iterable<readonly [string, Value]> = []) => {
  const map = new Map<string, Value>(from)
  const { set, delete: remove } = Map.prototype
  map.set = (key, value) => {
    changes.count += 1
    return set.call(map, key, value) as typeof map
  }
  map.delete = (key) => {
    changes.count += 1
    return remove.call(map, key)
  }
  return map
}
