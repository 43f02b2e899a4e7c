import type { InstanceStatus } from './store.ts'

/** What the engine tells the host's log. Texts may hold names, ids and error messages of the app; never inputs or results. */
export type EngineEvent =
  | { readonly kind: 'instanceStarted'; readonly instanceId: string; readonly name: string }
  | {
      readonly kind: 'instanceEnded'
      readonly instanceId: string
      readonly name: string
      readonly status: InstanceStatus
    }
  | { readonly kind: 'instanceContinued'; readonly instanceId: string; readonly name: string }
  | { readonly kind: 'refused'; readonly instanceId: string; readonly name: string; readonly message: string }
  | { readonly kind: 'activityFailed'; readonly instanceId: string; readonly name: string; readonly reason: string }
  | { readonly kind: 'turnPostponed'; readonly instanceId: string; readonly reason: string }
