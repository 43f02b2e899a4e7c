import { expect, it } from 'vitest'
import { startHttpServer } from '../../../../local/host/http/http-server.ts'

it('promises to keep an idle connection for as long as Kestrel does', async () => {
  const server = await startHttpServer(0, () => undefined)
  const { headers } = await fetch(`http://127.0.0.1:${server.port}/`)
  await server.close()
  expect(headers.get('keep-alive')).toBe('timeout=130')
})
