import { describe, expect, it } from 'vitest'
import { imageOfDisk } from '../../shared/domain/disk-image.ts'

const vm = (imageReference: string | null, disks: Readonly<Record<string, unknown>> = {}) => ({
  imageReference,
  configuration: { disks },
})
const createdFrom = (creationData: unknown) => ({ properties: { creationData } })

describe('the image of a disk', () => {
  it('is the VM’s for its OS disk, however it is spelled', () => {
    expect(imageOfDisk(vm('Canonical:Ubuntu:Server:24.04.1'), 'os')).toBe('os canonical:ubuntu:server:24.04.1')
  })

  it('is what the managed disk was created from where the VM names none, and for data disks', () => {
    const id = '/subscriptions/S/providers/Microsoft.Compute/galleries/G/images/I/versions/1.0.0'
    const disks = {
      os: createdFrom({ createOption: 'FromImage', imageReference: { id } }),
      'lun-0': createdFrom({ createOption: 'FromImage', galleryImageReference: { id, lun: 3 } }),
      'lun-1': createdFrom({ createOption: 'FromImage', galleryImageReference: { sharedGalleryImageId: id } }),
    }
    expect(imageOfDisk(vm(null, disks), 'os')).toBe(`os ${id.toLowerCase()}`)
    expect(imageOfDisk(vm('a:b:c:d', disks), 'lun-0')).toBe(`lun-3 ${id.toLowerCase()}`)
    expect(imageOfDisk(vm(null, disks), 'lun-1')).toBe(`os ${id.toLowerCase()}`)
  })

  it('is none for a disk that was made empty or copied, or of which nothing is known', () => {
    const disks = { 'lun-0': createdFrom({ createOption: 'Empty' }), 'lun-1': createdFrom(null), 'lun-2': 'x' }
    for (const disk of ['os', 'lun-0', 'lun-1', 'lun-2', 'lun-3']) expect(imageOfDisk(vm(null, disks), disk)).toBeNull()
    expect(imageOfDisk({ imageReference: null, configuration: {} }, 'os')).toBeNull()
  })
})
