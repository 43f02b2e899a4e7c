/** The middle value; the mean of the two in the middle of an even number. NaN where there is none. */
export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = Math.floor(sorted.length / 2)
  if (sorted.length % 2 === 1) return sorted[middle] ?? Number.NaN
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/** Median of the quotients of values that were measured in the same round. */
export const medianRatio = (above: readonly number[], below: readonly number[]): number =>
  median(above.slice(0, below.length).map((value, index) => value / (below[index] ?? Number.NaN)))
