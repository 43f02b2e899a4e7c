import type { LogLevel } from '../../log.ts'

/** A binding as `@azure/functions` registers it. Source: the types of @azure/functions-core, RpcBindingInfo. */
interface CoreBinding {
  readonly type: string
  readonly direction: 'in' | 'out'
  readonly [setting: string]: unknown
}

export interface CoreFunctionMetadata {
  readonly name: string
  readonly functionId?: string
  readonly bindings: Readonly<Record<string, CoreBinding>>
  readonly retryOptions?: unknown
}

export type FunctionCallback = (...inputsAndContext: unknown[]) => unknown

export type HookCallback = (context: unknown) => unknown

/** The steps of one invocation, as the programming model of `@azure/functions` offers them. */
export interface InvocationModel {
  getArguments(): Promise<{ context: unknown; inputs: unknown[] }>
  invokeFunction(context: unknown, inputs: unknown[], callback: FunctionCallback): Promise<unknown>
  getResponse(
    context: unknown,
    result: unknown,
  ): Promise<{
    readonly returnValue?: unknown
    readonly outputData?: readonly { readonly name: string; readonly data: unknown }[]
  }>
}

export interface ProgrammingModel {
  readonly name: string
  readonly version: string
  getInvocationModel(context: CoreInvocationContext): InvocationModel | Promise<InvocationModel>
  getCapabilities?(capabilities: Record<string, string>): Promise<Record<string, string>>
}

/** What an invocation model is built from. Source: the types of @azure/functions-core, CoreInvocationContext. */
export interface CoreInvocationContext {
  readonly invocationId: string
  readonly request: unknown
  readonly metadata: CoreFunctionMetadata
  state?: 'preInvocationHooks' | 'invocation' | 'postInvocationHooks' | undefined
  log(level: LogLevel, category: 'user' | 'system' | 'customMetric', message: string): void
}

export const hookNames = ['appStart', 'appTerminate', 'preInvocation', 'postInvocation'] as const

export type HookName = (typeof hookNames)[number]

/** Everything one loaded app has registered with its worker. */
export interface LoadedApp {
  readonly functions: Map<string, { readonly metadata: CoreFunctionMetadata; readonly callback: FunctionCallback }>
  readonly hooks: Readonly<Record<HookName, HookCallback[]>>
  /** Shared by all hooks that run for the app rather than for one invocation. */
  readonly appHookData: Record<string, unknown>
  programmingModel: ProgrammingModel | null
  registrationOpen: boolean
}

/** An app that has registered nothing yet; names of functions are compared without case. */
export const emptyApp = (): LoadedApp => ({
  functions: new Map(),
  hooks: { appStart: [], appTerminate: [], preInvocation: [], postInvocation: [] },
  appHookData: {},
  programmingModel: null,
  registrationOpen: true,
})

/** Runs the hooks of one name in order of registration, each awaited; rejects with what a hook throws. */
export const runHooks = async (app: LoadedApp, name: HookName, context: unknown): Promise<void> => {
  for (const callback of app.hooks[name]) await callback(context)
}
