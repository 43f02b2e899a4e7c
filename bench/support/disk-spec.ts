/** What the source server is to show as one disk. It travels in the path of the disk's URL, so that the server keeps no state. */
export type DiskSpec =
  | {
      readonly kind: 'file'
      readonly path: string
      readonly sizeBytes: number
      /** JSON files of `[offsetBytes, lengthBytes]`: what is allocated, and what changed since the base. */
      readonly allocatedPath: string
      readonly changedPath: string | null
      /** Each request waits so long before it is served. */
      readonly latencyMs: number
    }
  | {
      /** A disk of any size that takes no room: its bytes follow from their offset. */
      readonly kind: 'pattern'
      readonly sizeBytes: number
      /** Changed ranges of `rangeBytes`, every `strideBytes`, in `clusters` of `rangesPerCluster` somewhere in equal parts of the disk. */
      readonly clusters: number
      readonly rangesPerCluster: number
      readonly rangeBytes: number
      readonly strideBytes: number
      /** `noise` does not compress, `text` does. */
      readonly content: 'noise' | 'text'
    }

/** Looks like a SAS URL; opens nothing but what the server may read on this machine. */
export const diskUrl = (origin: string, spec: DiskSpec): string =>
  `${origin}/${Buffer.from(JSON.stringify(spec)).toString('base64url')}?sig=bench`

export const specOf = (target: string): DiskSpec => {
  const text = target.slice(1, target.indexOf('?'))
  return JSON.parse(Buffer.from(text, 'base64url').toString()) as DiskSpec
}
