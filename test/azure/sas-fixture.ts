import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ChangedRange, Extent } from '../../shared/domain/extent.ts'
import type { DiskReader } from '../../shared/ports/disk-reader.ts'

/** Retries without the waiting. */
export const quick = { firstDelayMs: 1, delayMsMax: 5 }

export const listed = async (reader: DiskReader, window: Extent | null = null): Promise<ChangedRange[]> => {
  const ranges: ChangedRange[] = []
  for await (const page of reader.listRanges(window)) ranges.push(...page)
  return ranges
}

export interface StubServer extends AsyncDisposable {
  readonly origin: string
  readonly requests: IncomingMessage[]
}

/** A server that answers what a test says, for answers that the emulator does not give. */
export const startStub = async (
  answer: (request: IncomingMessage, response: ServerResponse, index: number) => void,
): Promise<StubServer> => {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    answer(request, response, requests.length - 1)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
