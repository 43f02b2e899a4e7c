/** Work under way in this process, by key, so that several callers wait for the same work instead of beginning it again. */
export interface Flights<T> {
  /** Joins the work of that key, or begins it.
   * @returns null where it is still under way after `waitMs`; it goes on, and a later call may join it */
  join(key: string, waitMs: number, begin: () => Promise<T>): Promise<T | null>
}

/** An empty sky. Failures reach those who wait at the time. */
export const createFlights = <T>(): Flights<T> => {
  const underWay = new Map<string, Promise<T>>()
  const begun = (key: string, begin: () => Promise<T>): Promise<T> => {
    const known = underWay.get(key)
    if (known !== undefined) return known
    const work = begin().finally(() => underWay.delete(key))
    // Nobody may be waiting any more when it fails.
    work.catch(() => undefined)
    underWay.set(key, work)
    return work
  }
  return {
    join: (key, waitMs, begin) => {
      const work = begun(key, begin)
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => resolve(null), Math.max(0, waitMs))
        work.then(resolve, reject).finally(() => clearTimeout(timer))
      })
    },
  }
}
