import * as v from 'valibot'
import { accessIsLive } from './access-state.ts'
import type { ArmReply } from './arm-request.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { faultSchema } from './faults.ts'
import { settingsSchema } from './settings.ts'

/** The emulator's own switches below `/_emulator`, which Azure does not have:
 * `settings` (GET, PATCH), `faults` (GET, POST one or a list, DELETE all), `grants` (GET: resources with a live SAS, no URLs). */
export const controlReply = (context: EmulatorContext, method: string, path: string, body: unknown): ArmReply => {
  try {
    switch (`${method} ${path}`) {
      case 'GET /_emulator/settings':
        return { status: 200, body: context.settings() }
      case 'PATCH /_emulator/settings':
        context.changeSettings(v.parse(settingsSchema, { ...context.settings(), ...(body as object) }))
        return { status: 200, body: context.settings() }
      case 'GET /_emulator/faults':
        return { status: 200, body: { value: context.faults.pending() } }
      case 'POST /_emulator/faults':
        for (const fault of v.parse(v.array(faultSchema), Array.isArray(body) ? body : [body]))
          context.faults.add(fault)
        return { status: 200, body: { value: context.faults.pending() } }
      case 'DELETE /_emulator/faults':
        context.faults.clear()
        return { status: 204 }
      case 'GET /_emulator/grants':
        return { status: 200, body: { value: liveGrants(context) } }
      default:
        return problem(404, 'The emulator has settings, faults and grants here.')
    }
  } catch (error) {
    if (error instanceof v.ValiError) {
      const [issue] = error.issues
      return problem(400, `${v.getDotPath(issue) ?? 'body'}: ${issue.message}`)
    }
    throw error
  }
}

const problem = (status: number, message: string): ArmReply => ({
  status,
  body: { error: { code: status === 404 ? 'NotFound' : 'InvalidParameter', message } },
})

/** Every resource whose SAS is live now. */
const liveGrants = (context: EmulatorContext): { id: string; level: string; expiresAt: string }[] =>
  (['disks', 'snapshots', 'diskRestorePoints'] as const).flatMap((kind) =>
    context.state
      .list(kind, '/subscriptions/')
      .filter((record) => accessIsLive(context, record))
      .map(({ id, access }) => ({
        id,
        level: access?.level ?? '',
        expiresAt: new Date(access?.expiresAtMs ?? 0).toISOString(),
      })),
  )
