import { app } from '@azure/functions'
import { tellConfigurationProblems } from '../services.ts'

/** Says every problem of the settings at once, as soon as the app has started. It does not throw: that would block the whole app. */
app.hook.appStart(tellConfigurationProblems)
