import type { BlobServiceClient } from '@azure/storage-blob'
import type { StorageConnection } from '../config.ts'
import { storageAccountOf } from './storage-account.ts'
import { serviceOf } from './storage-connection.ts'
import { storageStatusOf } from './storage-faults.ts'
import { withTries } from './storage-tries.ts'

/** What can be seen of one container. */
export type SeenContainer =
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'found'
      /** A time-based retention policy of the container, or of its versions. */
      readonly hasImmutabilityPolicy: boolean
      readonly hasLegalHold: boolean
    }

/** Looks at a storage account from outside the app's own work: nothing here changes anything. Faults are thrown as StorageError. */
export interface StorageSurvey {
  container(name: string): Promise<SeenContainer>
  /** True where the account keeps earlier versions, as an object that is there shows. */
  keepsVersions(container: string, object: string): Promise<boolean>
  /** Days for which removed objects can be brought back; null for none. `hidden`: the role of the identity does not show it. */
  softDeleteDays(): Promise<number | null | 'hidden'>
  /** The service's time, which also a refusal tells, in milliseconds since 1970; null where no answer comes. */
  serverTimeMs(): Promise<number | null>
  /** Lists the account's containers, one at most. */
  listOne(): Promise<void>
  /** Whether queue and table service of the account answer at all, whatever they say; null where their addresses are not known. */
  siblingsAnswer(): Promise<{ readonly queue: boolean; readonly table: boolean } | null>
}

/** Makes no request. */
export const surveyStorage = (connection: StorageConnection): StorageSurvey => {
  const { service } = serviceOf(connection)
  return {
    container: (name) => seenContainer(service, name),
    keepsVersions: (container, object) =>
      withTries(object, 0, undefined, async ({ abortSignal }) => {
        const blob = service.getContainerClient(container).getBlobClient(object)
        return (await blob.getProperties({ abortSignal })).versionId !== undefined
      }),
    softDeleteDays: () =>
      withTries('the account', 0, undefined, async ({ abortSignal }) => {
        const properties = await service.getProperties({ abortSignal }).catch(refusedAsNull)
        if (properties === null) return 'hidden'
        const { enabled = false, days = null } = properties.deleteRetentionPolicy ?? {}
        return enabled ? days : null
      }),
    serverTimeMs: () => serverTimeMs(service),
    listOne: () =>
      withTries('the account', 0, undefined, async ({ abortSignal }) => {
        await service.listContainers({ abortSignal }).byPage({ maxPageSize: 1 }).next()
      }),
    siblingsAnswer: () => siblingsAnswer(connection),
  }
}

const seenContainer = (service: BlobServiceClient, name: string): Promise<SeenContainer> =>
  withTries(name, 0, undefined, async ({ abortSignal }) => {
    const found = await service
      .getContainerClient(name)
      .getProperties({ abortSignal })
      .catch((error: unknown) => {
        if (storageStatusOf(error) === 404) return null
        throw error
      })
    if (found === null) return { kind: 'absent' }
    const { hasImmutabilityPolicy = false, hasLegalHold = false, isImmutableStorageWithVersioningEnabled } = found
    return {
      kind: 'found',
      hasImmutabilityPolicy: hasImmutabilityPolicy || isImmutableStorageWithVersioningEnabled === true,
      hasLegalHold,
    }
  })

/** Data roles do not show the properties of the service. */
const refusedAsNull = (error: unknown): null => {
  if (storageStatusOf(error) === 403) return null
  throw error
}

/** `$root` is a container of every account, which need not be there: any answer will do. */
const serverTimeMs = async (service: BlobServiceClient): Promise<number | null> => {
  const root = service.getContainerClient('$root')
  const date = await root.getProperties({ abortSignal: AbortSignal.timeout(answerMsMax) }).then(
    (answer) => answer.date?.getTime(),
    (error: { response?: { headers?: { get?: (name: string) => string | undefined } } }) =>
      Date.parse(error.response?.headers?.get?.('date') ?? ''),
  )
  return date === undefined || Number.isNaN(date) ? null : date
}

const answerMsMax = 10_000

/** Blob, queue and table service of one account have the same host name but for one word; an emulator's connection string names each. */
const siblingsAnswer = async (connection: StorageConnection): Promise<{ queue: boolean; table: boolean } | null> => {
  const { blobEndpoint } = storageAccountOf(connection, () => Promise.resolve(''))
  const named = connection.kind === 'connectionString' ? connection.connectionString : ''
  const endpointOf = (service: 'queue' | 'table'): string | null => {
    const given = new RegExp(`(?:^|;)\\s*${service}Endpoint=([^;]+)`, 'i').exec(named)?.[1]
    if (given !== undefined) return given
    return blobEndpoint.includes('.blob.') ? blobEndpoint.replace('.blob.', `.${service}.`) : null
  }
  const [queue, table] = [endpointOf('queue'), endpointOf('table')]
  if (queue === null || table === null) return null
  return { queue: await answers(queue), table: await answers(table) }
}

/** A request without an identity, so a refusal is the answer that is expected. */
const answers = async (endpoint: string): Promise<boolean> =>
  fetch(endpoint, { signal: AbortSignal.timeout(answerMsMax) }).then(
    async (response) => {
      await response.body?.cancel()
      return true
    },
    () => false,
  )
