import { app } from '@azure/functions'
import { leanHeap } from '../lean-heap.ts'
import { tellConfigurationProblems } from '../services.ts'

/** Says every problem of the settings at once, as soon as the app has started. It does not throw: that would block the whole app. */
app.hook.appStart(tellConfigurationProblems)

/** What loading leaves behind is collected before the first job: V8 does so by itself some seconds later, and not while a job runs. */
app.hook.appStart(() => leanHeap(false))
