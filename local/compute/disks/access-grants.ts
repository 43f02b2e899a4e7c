import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { ContentRecord, GrantRecord } from './content-record.ts'
import { writeWhole } from './content-record.ts'

/** The version that recorded SAS URLs of managed disks carry. */
const sasVersion = '2018-11-09'

/** The key that signs SAS URLs, made once and kept, so that URLs outlive a restart. */
export const openSigningKey = async (path: string): Promise<Buffer> => {
  const kept = await readFile(path).catch(() => null)
  if (kept !== null && kept.byteLength === 32) return kept
  const key = randomBytes(32)
  await writeWhole(path, key, 0o600)
  return key
}

/** Extends a live grant of the same access, and else makes a new one, which ends the old. Expiry never moves back. */
export const grantFor = (
  current: GrantRecord | null,
  access: 'Read' | 'Write',
  durationSeconds: number,
  now: Date,
): GrantRecord => {
  const expiresAt = new Date(now.getTime() + durationSeconds * 1000)
  if (current === null || current.access !== access || !isLive(current, now)) {
    return { access, policyId: randomBytes(16).toString('hex'), expiresAt: expiresAt.toISOString() }
  }
  const later = new Date(current.expiresAt) > expiresAt ? current.expiresAt : expiresAt.toISOString()
  return { ...current, expiresAt: later }
}

export const isLive = (grant: GrantRecord | null, now: Date): grant is GrantRecord =>
  grant !== null && new Date(grant.expiresAt) > now

/** A URL that looks as the service's do: the expiry and the rights are not in it, but in the policy that `si` names. */
export const sasUrlOf = (origin: string, record: ContentRecord, grant: GrantRecord, key: Buffer): string => {
  const snapshot = record.kind === 'snapshot' ? `snapshot=${encodeURIComponent(snapshotTime(record))}&` : ''
  const kind = record.kind === 'snapshot' ? 'bs' : 'b'
  const signature = encodeURIComponent(signatureOf(record, grant, key))
  return `${origin}${pathOf(record)}?${snapshot}sv=${sasVersion}&sr=${kind}&si=${grant.policyId}&sig=${signature}`
}

/** The unique id of the content that a URL's path names, or null. */
export const contentOfPath = (path: string): string | null => {
  const match = /^\/md-([0-9a-f]{12})\/([0-9a-f]{20})\/abcd$/.exec(path)
  return match === null ? null : `${match[1]}${match[2]}`
}

/** Whether the query of a URL is the one that was given out for this grant. */
export const isSignedBy = (query: URLSearchParams, record: ContentRecord, grant: GrantRecord, key: Buffer): boolean => {
  const isSnapshot = record.kind === 'snapshot'
  return (
    query.get('si') === grant.policyId &&
    query.get('sr') === (isSnapshot ? 'bs' : 'b') &&
    query.get('snapshot') === (isSnapshot ? snapshotTime(record) : null) &&
    isSameText(query.get('sig') ?? '', signatureOf(record, grant, key))
  )
}

const pathOf = (record: ContentRecord): string =>
  `/md-${record.uniqueId.slice(0, 12)}/${record.uniqueId.slice(12)}/abcd`

const signatureOf = (record: ContentRecord, grant: GrantRecord, key: Buffer): string =>
  createHmac('sha256', key).update(`${record.uniqueId}\n${grant.policyId}\n${grant.access}`).digest('base64')

/** Blob snapshots are named by their time with seven decimals. */
const snapshotTime = (record: ContentRecord): string => record.createdAt.replace('Z', '0000Z')

const isSameText = (left: string, right: string): boolean => {
  const [a, b] = [Buffer.from(left), Buffer.from(right)]
  return a.byteLength === b.byteLength && timingSafeEqual(a, b)
}
