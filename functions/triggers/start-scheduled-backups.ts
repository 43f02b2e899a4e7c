import * as df from 'durable-functions'
import { sweep } from '../sweep.ts'

df.app.client.timer('startScheduledBackups', {
  schedule: '%BACKUP_SWEEP_SCHEDULE%',
  handler: (_timer, client, context) => sweep(client, context),
})
