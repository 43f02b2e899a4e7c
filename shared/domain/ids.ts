import { createHash } from 'node:crypto'

const stampOf = (at: Date): string =>
  at
    .toISOString()
    .replace(/[-:]/g, '')
    .replace(/\.\d+Z$/, 'Z')
    .toLowerCase()

const digestOf = (text: string, characters: number): string =>
  createHash('sha256').update(text).digest('hex').slice(0, characters)

/** The VM's short name inside the vault: its name, cut, and a hash of its ARM id, so that two VMs of one name differ.
 * Lower-case letters, digits and `-`; at most 35 characters. ARM ids are compared without case. */
export const vmKeyOf = (vmId: string): string => {
  const name = vmId.slice(vmId.lastIndexOf('/') + 1).toLowerCase()
  return `${name.replace(/[^a-z0-9-]/g, '-').slice(0, 22)}-${digestOf(vmId.toLowerCase(), 12)}`
}

/** `backup-<vmKey>-20261122t020000z-<10 hex>`: the same for the same VM, cause and time, so that one slot of a policy is one job.
 * @param at the slot of a scheduled run; when it was asked for otherwise
 * @param cause the policy of a scheduled run; a random text otherwise */
export const backupJobIdOf = (vmKey: string, at: Date, cause: string): string =>
  `backup-${vmKey}-${stampOf(at)}-${digestOf(`${vmKey}\n${cause}\n${at.toISOString()}`, markCharacters)}`

const markCharacters = 10

/** `20261122t020517z-<10 hex>`: a VM's recovery points sort by when their jobs began, which is not the order of their slots: one that
 * was missed is caught up after others. Unique across the vault by the mark at the job id's end. */
export const recoveryPointIdOf = (beganAt: Date, jobId: string): string =>
  `${stampOf(beganAt)}-${jobId.slice(-markCharacters)}`

/** True for what the job of this id has for a recovery point, whichever start of it won the claim. */
export const isRecoveryPointOf = (recoveryPointId: string, jobId: string): boolean =>
  recoveryPointId.endsWith(`-${jobId.slice(-markCharacters)}`)

/** `restore-<vmKey>-20261122t020000z-<10 hex>`: a restore is asked for once, so the cause is a random text. */
export const restoreJobIdOf = (at: Date, vmKey: string, cause: string): string =>
  `restore-${vmKey}-${stampOf(at)}-${digestOf(`${vmKey}\n${cause}`, 10)}`

/** `compare-<vmKey>-20261122t020000z-<10 hex>`: as of a restore. */
export const compareJobIdOf = (at: Date, vmKey: string, cause: string): string =>
  `compare-${vmKey}-${stampOf(at)}-${digestOf(`${vmKey}\n${cause}`, markCharacters)}`

/** Which window a comparison by samples begins with: another one for each job.
 * @param jobId of compareJobIdOf
 * @returns 0 to `oneIn` - 1 */
export const firstSampleOf = (jobId: string, oneIn: number): number =>
  Number.parseInt(jobId.slice(-markCharacters), 16) % oneIn

/** The one Durable instance that runs passes over the vault: the engine lets no second one run under its id. */
export const maintenanceInstanceId = 'maintenance'

/** Names one pass over the vault.
 * @param token a random text */
export const passIdOf = (at: Date, token: string): string => `pass-${stampOf(at)}-${digestOf(token, markCharacters)}`

/** The Durable instance that runs one attempt of a job. */
export const instanceIdOf = (jobId: string, attempt: number): string => `${jobId}.${attempt}`

const idPattern = /^[a-z0-9][a-z0-9.-]{0,99}$/

/** True for ids that this project makes: lower-case letters, digits, `-` and single dots; at most 100 characters. */
export const isId = (text: string): boolean => idPattern.test(text) && !text.includes('..')

/** True for what names a disk in the vault: `os`, or `lun-0` to `lun-9999`. */
export const isDisk = (text: string): boolean => /^(os|lun-(0|[1-9][0-9]{0,3}))$/.test(text)
