/** One line of the table: what is to be reached, and what was. */
export interface Row {
  readonly goal: string
  readonly wanted: string
  readonly measured: string
  /** Null: not measured in this run, and `measured` says why. */
  readonly isMet: boolean | null
}

/** A value that has to be at least, or at most, so much. */
export interface Bound {
  readonly goal: string
  readonly value: number
  readonly atLeast?: number
  readonly atMost?: number
  readonly unit?: string
  readonly digits?: number
  /** Said behind the value: how it came about. */
  readonly note?: string
}

export const boundRow = ({ goal, value, atLeast, atMost, unit = '', digits = 2, note }: Bound): Row => {
  const wanted = atLeast === undefined ? `<= ${atMost}${unit}` : `>= ${atLeast}${unit}`
  if (Number.isNaN(value)) return { goal, wanted, measured: 'not measured', isMet: null }
  const measured = `${value.toFixed(digits)}${unit}${note === undefined ? '' : ` (${note})`}`
  return { goal, wanted, measured, isMet: value >= (atLeast ?? -Infinity) && value <= (atMost ?? Infinity) }
}
