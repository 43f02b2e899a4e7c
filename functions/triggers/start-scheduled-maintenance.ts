import * as df from 'durable-functions'
import { passIdOf } from '../../shared/domain/ids.ts'
import { durableInstances } from '../durable-instances.ts'
import { services } from '../services.ts'

df.app.client.timer('startScheduledMaintenance', {
  schedule: '%MAINTENANCE_SCHEDULE%',
  handler: async (_timer, client, context) => {
    const { clock, newToken } = services()
    const passId = passIdOf(clock.now(), newToken())
    const started = await durableInstances(client).startMaintenance({ passId })
    if (started === 'exists') context.log('The pass over the vault before this one still runs; none is started.')
  },
})
