import * as v from 'valibot'
import { accessIsLive } from './access-state.ts'
import type { ArmReply } from './arm-request.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { faultSchema } from './faults.ts'
import { settingsSchema } from './settings.ts'

/** The emulator's own switches below `/_emulator`, which Azure does not have:
 * `settings` (GET, PATCH), `faults` (GET, POST one or a list, DELETE all), `grants` (GET: resources with a live SAS, no URLs),
 * `images` (GET: the raw file behind each disk, snapshot and disk restore point). */
export const controlReply = async (
  context: EmulatorContext,
  method: string,
  path: string,
  body: unknown,
): Promise<ArmReply> => {
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
      case 'GET /_emulator/images':
        return { status: 200, body: { value: await images(context) } }
      default:
        return problem(404, 'The emulator has settings, faults, grants and images here.')
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

const images = async (context: EmulatorContext): Promise<{ id: string; imagePath: string }[]> => {
  const records = (['disks', 'snapshots', 'diskRestorePoints'] as const).flatMap((kind) =>
    context.state.list(kind, '/subscriptions/').map(({ id, contentId }) => ({ id, contentId })),
  )
  const found = await Promise.all(
    records.map(async ({ id, contentId }) => ({ id, imagePath: (await context.disks.describe(contentId))?.imagePath })),
  )
  return found.filter((image): image is { id: string; imagePath: string } => image.imagePath !== undefined)
}
