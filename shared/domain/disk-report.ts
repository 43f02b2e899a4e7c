import type { DiskReport } from './job.ts'

/** Differing ranges of a disk that a comparison tells one by one, the first ones. */
export const differingToldMax = 5

/** The report of a disk of which nothing was recorded: the fields that are known, and zeros. */
export const diskReport = (known: Partial<DiskReport> & Pick<DiskReport, 'disk' | 'kind'>): DiskReport => ({
  transfer: null,
  fullReason: null,
  comparedWith: null,
  sizeBytes: 0,
  allocatedBytes: null,
  changedBytes: 0,
  readBytes: 0,
  joinedBytes: 0,
  storedPlainBytes: 0,
  storedBytes: 0,
  milliseconds: 0,
  reason: null,
  hint: null,
  ...known,
})
