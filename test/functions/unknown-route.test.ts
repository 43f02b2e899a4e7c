import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { answerUnknownRoute, unknownRoute } from '../../functions/http/unknown-route.ts'

const folder = join(import.meta.dirname, '../../functions/triggers')

it('an address that no function has is answered with all the routes that there are', async () => {
  for (const file of readdirSync(folder).filter((name) =>
    /^(cancel|compare|expire|get|list|maintain|resume|rotate|start-(backup|restore))/.test(name),
  ))
    await import(join(folder, file))
  const answer = answerUnknownRoute({ method: 'GET' })
  expect(answer.status).toBe(404)
  const body = JSON.parse(String(answer.body)) as {
    code: string
    hint: string
    routes: { route: string; methods: string[] }[]
  }
  expect(body).toMatchObject({ code: 'unknown-route', hint: expect.stringContaining('routes') })
  expect(body.routes).toHaveLength(13)
  expect(body.routes).toContainEqual({ route: 'jobs/{jobId}', methods: ['GET'] })
  expect(body.routes).toContainEqual({ route: 'restores', methods: ['POST'] })
  expect(unknownRoute.route).toBe('{*path}')
})
