import type { FunctionMetadata, FunctionWorker } from '../invocation.ts'

export interface FoundFunction {
  /** As the app registered it, whatever the case that was asked for. */
  readonly name: string
  /** The name of its trigger binding. */
  readonly binding: string
}

/** Finds what the app registered, by name without case. */
export interface FunctionIndex {
  orchestrator(name: string): FoundFunction | undefined
  activity(name: string): FoundFunction | undefined
  /** All orchestrators, in order of registration. */
  orchestratorNames(): readonly string[]
}

export function createFunctionIndex(worker: FunctionWorker): FunctionIndex {
  const find = (trigger: string, name: string): FoundFunction | undefined => {
    const wanted = name.toLowerCase()
    for (const each of worker.functions) {
      const binding = triggerBinding(each, trigger)
      if (binding !== undefined && each.name.toLowerCase() === wanted) return { name: each.name, binding }
    }
    return undefined
  }
  return {
    orchestrator: (name) => find('orchestrationTrigger', name),
    activity: (name) => find('activityTrigger', name),
    orchestratorNames: () =>
      worker.functions
        .filter((each) => triggerBinding(each, 'orchestrationTrigger') !== undefined)
        .map((each) => each.name),
  }
}

const triggerBinding = (metadata: FunctionMetadata, trigger: string): string | undefined =>
  metadata.bindings.find((binding) => binding.type.toLowerCase() === trigger.toLowerCase())?.name
