/** Bytes as people read them, in powers of 1,024: `0`, `512 B`, `4.0 KiB`, `55.3 MiB`, `32 GiB`. */
export const formatBytes = (bytes: number): string => {
  if (bytes === 0) return '0'
  const rank = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  const value = bytes / 1024 ** rank
  return rank === 0 || (Number.isInteger(value) && value >= 16)
    ? `${value} ${units[rank]}`
    : `${value.toFixed(1)} ${units[rank]}`
}

/** A length of time as people read it: `0.4 s`, `12.0 s`, `3 min 5 s`. */
export const formatDuration = (milliseconds: number): string => {
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`
  const seconds = Math.round(milliseconds / 1000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** `1 disk`, `2 disks`, `0 disks`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const
