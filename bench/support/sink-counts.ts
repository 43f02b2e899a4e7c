/** What a sink has served. */
export interface SinkCounts {
  /** By container, method and `comp`: `vault: PUT`, `control: GET list`. */
  readonly calls: Readonly<Record<string, number>>
  readonly bytesIn: number
  readonly bytesOut: number
}
