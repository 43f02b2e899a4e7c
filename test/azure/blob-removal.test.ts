import type { ContainerClient } from '@azure/storage-blob'
import { describe, expect, it } from 'vitest'
import { purgeBlob } from '../../shared/azure/blob-removal.ts'

/** A container whose service answers every removal with this status and code. */
const answering = (statusCode: number, code: string, isThere = true) => {
  const asked: unknown[] = []
  const blob = {
    delete: async (options: unknown) => {
      asked.push(options)
      if (statusCode >= 300) throw Object.assign(new Error('refused'), { statusCode, code })
    },
    getProperties: async () => {
      if (!isThere) throw Object.assign(new Error('absent'), { statusCode: 404, code: 'BlobNotFound' })
      return {}
    },
  }
  return { container: { getBlobClient: () => blob } as unknown as ContainerClient, asked }
}

describe('the removal of a blob', () => {
  it.each([
    [202, '', 'removed'],
    [404, 'BlobNotFound', 'absent'],
    [404, 'ContainerNotFound', 'absent'],
    [409, 'BlobImmutableDueToPolicy', 'retained'],
    [409, 'ContainerImmutableDueToPolicy', 'retained'],
    [409, 'BlobUnderLegalHold', 'retained'],
    [412, 'LeaseIdMissing', 'retained'],
    [412, 'ConditionNotMet', 'changed'],
  ] as const)('answered with %i %s is %s', async (status, code, outcome) => {
    expect(await purgeBlob(answering(status, code).container, 'a', '"etag"')).toBe(outcome)
  })

  it('is absent where the ETag does not match as there is no object', async () => {
    expect(await purgeBlob(answering(412, 'ConditionNotMet', false).container, 'a', '"etag"')).toBe('absent')
  })

  it.each([
    [409, 'SnapshotsPresent', 'rejected'],
    [403, 'AuthorizationPermissionMismatch', 'forbidden'],
  ] as const)('answered with %i %s is a fault: %s', async (status, code, fault) => {
    const removal = purgeBlob(answering(status, code).container, 'a', '"etag"')
    await expect(removal).rejects.toMatchObject({ name: 'StorageError', fault: { code: fault } })
  })

  it('is asked for with the ETag and with all snapshots of the blob', async () => {
    const { container, asked } = answering(202, '')
    await purgeBlob(container, 'a', '"etag"')
    expect(asked).toMatchObject([{ deleteSnapshots: 'include', conditions: { ifMatch: '"etag"' } }])
  })
})
