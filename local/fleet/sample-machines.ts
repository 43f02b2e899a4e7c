import { logLinesOf, randomBytesOf } from './sample-bytes.ts'

/** What a sample disk holds when it is made: files of a file system, or bytes at offsets where there is none. */
export type SampleContent =
  | {
      readonly kind: 'ext4'
      readonly label: string
      readonly folders: readonly string[]
      readonly files: readonly SampleFile[]
    }
  | { readonly kind: 'raw'; readonly areas: readonly SampleArea[] }

/** A file of lines or of noise; `isDatabase` marks the one whose blocks are overwritten in place later. */
export interface SampleFile {
  readonly path: string
  readonly lengthBytes: number
  readonly texture: Texture
  readonly isDatabase?: true
}

export interface SampleArea {
  readonly offsetBytes: number
  readonly lengthBytes: number
  readonly texture: Texture
}

type Texture = 'lines' | 'noise'

export interface SampleDisk {
  readonly name: string
  readonly lun: number | null
  readonly sizeBytes: number
  readonly content: SampleContent
}

export interface SampleMachine {
  readonly name: string
  readonly resourceGroup: string
  readonly osType: 'Linux' | 'Windows'
  readonly disks: readonly SampleDisk[]
}

const mebibyte = 1024 * 1024

/** The sample fleet: small enough for a first look in a minute, with all that matters in it: an OS disk and data disks, a file system and
 * raw bytes, text and noise, and much that was never written. */
export const sampleMachines = (hasExt4: boolean): readonly SampleMachine[] => [
  {
    name: 'web-01',
    resourceGroup: 'shop',
    osType: 'Linux',
    disks: hasExt4 ? linuxDisks : linuxDisks.map(withoutFileSystem),
  },
  { name: 'desk-01', resourceGroup: 'office', osType: 'Windows', disks: windowsDisks },
]

/** The bytes of a texture, the same for the same seed. */
export const textureOf = (texture: Texture, seed: string, lengthBytes: number): Buffer =>
  texture === 'lines' ? logLinesOf(seed, lengthBytes) : randomBytesOf(seed, lengthBytes)

const linuxDisks: readonly SampleDisk[] = [
  {
    name: 'web-01-os',
    lun: null,
    sizeBytes: 256 * mebibyte,
    content: {
      kind: 'ext4',
      label: 'web-os',
      folders: ['/bin', '/etc', '/var', '/var/log'],
      files: [
        { path: '/bin/app', lengthBytes: 24 * mebibyte, texture: 'noise' },
        { path: '/etc/settings', lengthBytes: 64 * 1024, texture: 'lines' },
        { path: '/var/log/day-0.log', lengthBytes: 12 * mebibyte, texture: 'lines' },
      ],
    },
  },
  {
    name: 'web-01-db',
    lun: 0,
    sizeBytes: 128 * mebibyte,
    content: {
      kind: 'ext4',
      label: 'web-db',
      folders: ['/data', '/data/log'],
      files: [
        { path: '/data/orders.db', lengthBytes: 40 * mebibyte, texture: 'noise', isDatabase: true },
        { path: '/data/log/day-0.log', lengthBytes: 8 * mebibyte, texture: 'lines' },
      ],
    },
  },
  {
    name: 'web-01-logs',
    lun: 1,
    sizeBytes: 64 * mebibyte,
    content: {
      kind: 'ext4',
      label: 'web-logs',
      folders: ['/log'],
      files: [{ path: '/log/day-0.log', lengthBytes: 16 * mebibyte, texture: 'lines' }],
    },
  },
]

const windowsDisks: readonly SampleDisk[] = [
  {
    name: 'desk-01-os',
    lun: null,
    sizeBytes: 192 * mebibyte,
    content: {
      kind: 'raw',
      areas: [
        { offsetBytes: 0, lengthBytes: mebibyte, texture: 'lines' },
        { offsetBytes: 4 * mebibyte, lengthBytes: 24 * mebibyte, texture: 'noise' },
        { offsetBytes: 96 * mebibyte, lengthBytes: 24 * mebibyte, texture: 'lines' },
      ],
    },
  },
  {
    name: 'desk-01-files',
    lun: 0,
    sizeBytes: 64 * mebibyte,
    content: {
      kind: 'raw',
      areas: [
        { offsetBytes: 0, lengthBytes: mebibyte, texture: 'lines' },
        { offsetBytes: 8 * mebibyte, lengthBytes: 16 * mebibyte, texture: 'noise' },
      ],
    },
  },
]

/** Where there is no mke2fs, the same amounts lie at fixed offsets, 1 MiB apart. */
const withoutFileSystem = (disk: SampleDisk): SampleDisk => {
  if (disk.content.kind === 'raw') return disk
  let offsetBytes = mebibyte
  const areas = disk.content.files.map(({ lengthBytes, texture }) => {
    const area = { offsetBytes, lengthBytes, texture }
    offsetBytes += Math.ceil(lengthBytes / mebibyte) * mebibyte + mebibyte
    return area
  })
  return { ...disk, content: { kind: 'raw', areas } }
}
