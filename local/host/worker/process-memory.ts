import { readFile } from 'node:fs/promises'

/** Resident memory of one process now and at its peak, in bytes; null where the system does not tell. */
export interface ProcessMemory {
  readonly pid: number
  readonly rssBytes: number | null
  readonly peakRssBytes: number | null
}

const kilobytesOf = (status: string, field: string): number | null => {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)
  return match === null ? null : Number(match[1]) * 1024
}

/** Reads VmRSS and VmHWM from /proc/<pid>/status. Source: proc(5). Elsewhere than on Linux both sizes are null. */
export const processMemory = async (pid: number): Promise<ProcessMemory> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return { pid, rssBytes: kilobytesOf(status, 'VmRSS'), peakRssBytes: kilobytesOf(status, 'VmHWM') }
}
