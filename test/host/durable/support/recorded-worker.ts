import type {
  FunctionWorker,
  InvocationRequest,
  InvocationResult,
  RpcValue,
} from '../../../../local/host/invocation.ts'
import { type LibraryApp, loadLibraryApp } from './library-app.ts'
import { type ActivityItem, isCut, type Recording } from './recording.ts'

/** One call of an orchestrator as the worker saw it. */
export interface OrchestratorCall {
  readonly functionName: string
  readonly trigger: Record<string, unknown>
  readonly result: InvocationResult
}

/** A worker whose orchestrators are the recorded app, run by the real library, and whose activities answer what was
 * recorded for the same instance, function and input. */
export interface RecordedWorker extends FunctionWorker {
  /** Calls since they were last taken, by instance. */
  takeCalls(instanceId: string): OrchestratorCall[]
  /** Activity calls for which nothing was recorded, and recorded ones that were never asked for. */
  strayActivities(): string[]
  unusedActivities(): ActivityItem[]
  activityCount(): number
  /** The next call of this function ends as if its process had died. */
  dieIn(functionName: string): void
  isBusy(): boolean
  /** What the app sees as `globalThis`. */
  readonly globals: Record<string, unknown>
}

export function createRecordedWorker(
  recording: Recording,
  source: string,
  silent: (item: ActivityItem) => boolean,
  toRecordedId: (instanceId: string) => string,
): RecordedWorker {
  const app: LibraryApp = loadLibraryApp(source)
  const answers = recording.trace.filter((item): item is ActivityItem => item.type === 'activity')
  const used = new Set<ActivityItem>()
  const stray: string[] = []
  const calls = new Map<string, OrchestratorCall[]>()
  const dying: string[] = []
  let busy = 0

  const runActivity = (request: InvocationRequest): InvocationResult | Promise<InvocationResult> => {
    const text = request.inputs[0]?.value.string ?? null
    const instanceId = toRecordedId(request.triggerMetadata.instanceId?.string ?? '')
    const found = answers.find(
      (item) =>
        !used.has(item) && item.instanceId === instanceId && item.fn === request.functionName && isInput(item, text),
    )
    if (!found) {
      stray.push(`${instanceId} ${request.functionName} ${text}`)
      return { kind: 'failed', message: 'not recorded', stack: '' }
    }
    used.add(found)
    return silent(found) ? new Promise<never>(() => {}) : resultOf(found)
  }
  const runOrchestrator = async (request: InvocationRequest): Promise<InvocationResult> => {
    const instanceId = request.triggerMetadata.instanceId?.string ?? ''
    busy += 1
    const result = await (dies(request) ?? app.invoke(request))
    busy -= 1
    const trigger = JSON.parse(request.inputs[0]?.value.string ?? '{}')
    calls.set(instanceId, [...(calls.get(instanceId) ?? []), { functionName: request.functionName, trigger, result }])
    return result
  }
  const dies = (request: InvocationRequest): InvocationResult | undefined => {
    if (dying[0] !== request.functionName) return undefined
    dying.shift()
    return { kind: 'workerDied', exitCode: 137 }
  }
  return {
    globals: app.globals,
    functions: app.functions,
    invoke: async (request) =>
      isActivity(app, request.functionName) ? await runActivity(request) : await runOrchestrator(request),
    takeCalls: (instanceId) => {
      const taken = calls.get(instanceId) ?? []
      calls.delete(instanceId)
      return taken
    },
    strayActivities: () => stray,
    unusedActivities: () => answers.filter((item) => !used.has(item)),
    activityCount: () => used.size,
    dieIn: (functionName) => dying.push(functionName),
    isBusy: () => busy > 0,
  }
}

const isActivity = (app: LibraryApp, name: string): boolean =>
  app.functions.some(
    (each) => each.name === name && each.bindings.some((binding) => binding.type === 'activityTrigger'),
  )

const isInput = (item: ActivityItem, text: string | null): boolean =>
  isCut(item.trigger) ? text?.length === item.trigger.$long : item.trigger === text

/** Long recorded results are cut to their ends; the only ones are runs of one letter inside one field. */
function resultOf(item: ActivityItem): InvocationResult {
  if (item.threw) return { kind: 'failed', message: item.threw.message, stack: item.threw.stack }
  // What was thrown here could not be recorded; the engine took it for a success.
  if (item.out && 'none' in item.out && item.fn === 'Odd') return { kind: 'succeeded', returnValue: null, outputs: {} }
  if (item.out && 'none' in item.out) return { kind: 'workerDied', exitCode: 137 }
  return { kind: 'succeeded', returnValue: rpcValue(item.out ?? null), outputs: {} }
}

function rpcValue(out: Readonly<Record<string, unknown>> | null): RpcValue | null {
  const [kind, value] = Object.entries(out ?? {})[0] ?? []
  if (kind === undefined) return null
  if (isCut(value)) return { json: wholeText(value.$long, value.head) }
  if (kind === 'bytes') return { bytes: Buffer.from(String(value), 'base64') }
  return { [kind]: value }
}

function wholeText(characters: number, head: string): string {
  const letter = head.at(-1) ?? ''
  return `${head}${letter.repeat(characters - head.length - 2)}"}`
}
