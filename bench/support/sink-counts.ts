/** What a sink has served. */
export interface SinkCounts {
  /** By method and `comp`: `PUT`, `GET`, `GET list`. */
  readonly calls: Readonly<Record<string, number>>
  readonly bytesIn: number
  readonly bytesOut: number
}
