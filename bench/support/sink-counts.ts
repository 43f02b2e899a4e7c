/** What a sink has served. */
export interface SinkCounts {
  /** By container, kind of object, method and `comp`: `vault/segments: PUT`, `control/claims: GET list`. */
  readonly calls: Readonly<Record<string, number>>
  readonly bytesIn: number
  readonly bytesOut: number
}
