import type { VmDescription } from './vm.ts'

/** What a disk was made from, as a text that is the same for all disks made from it; null where it was made from no image. For the OS disk
 * the image that its VM names; else the managed disk's own creation data (`imageReference`, `galleryImageReference`). */
export const imageOfDisk = (
  { imageReference, configuration }: Pick<VmDescription, 'configuration' | 'imageReference'>,
  disk: string,
): string | null => {
  if (disk === 'os' && imageReference !== null) return `os ${imageReference.toLowerCase()}`
  const creation = at(configuration, 'disks', disk, 'properties', 'creationData')
  const reference = at(creation, 'imageReference') ?? at(creation, 'galleryImageReference')
  const id = idNames.map((name) => at(reference, name)).find((text) => typeof text === 'string')
  if (typeof id !== 'string' || id === '') return null
  const lun = at(reference, 'lun')
  return `${typeof lun === 'number' ? `lun-${lun}` : 'os'} ${id.toLowerCase()}`
}

/** Managed disks REST API: an image is named by one of these. */
const idNames = ['id', 'sharedGalleryImageId', 'communityGalleryImageId']

const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (inner, name) =>
      typeof inner === 'object' && inner !== null && name in inner
        ? (inner as Record<string, unknown>)[name]
        : undefined,
    value,
  )
