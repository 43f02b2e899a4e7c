import { app } from '@azure/functions'
import { configurationProblems } from '../services.ts'

/** Says every problem of the settings at once, as soon as the app has started. It does not throw: that would block the whole app. */
app.hook.appStart(() => {
  for (const { setting, problem, fix } of configurationProblems())
    console.error(`Setting ${setting} ${problem}. ${fix}`)
})
