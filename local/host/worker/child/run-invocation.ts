import { messageOf, stackOf } from '../../error-text.ts'
import type { InvocationRequest, InvocationResult, RpcValue } from '../../invocation.ts'
import type { LogSink } from '../../log.ts'
import { type CoreInvocationContext, type InvocationModel, type LoadedApp, runHooks } from './core-api.ts'

/** `@azure/functions` leaves undefined fields in its values (a cookie's, an empty json); the contract has none. */
const definedFields = (value: unknown): RpcValue | null => {
  if (value === null || value === undefined) return null
  const fields = Object.entries(value).filter(([, field]) => field !== undefined && field !== null)
  return fields.length === 0 ? null : (Object.fromEntries(fields) as RpcValue)
}

const coreContext = (app: LoadedApp, request: InvocationRequest, log: LogSink): CoreInvocationContext => {
  const { metadata } = app.functions.get(request.functionName.toLowerCase())!
  return {
    invocationId: request.invocationId,
    request: {
      invocationId: request.invocationId,
      functionId: metadata.name,
      inputData: request.inputs.map(({ name, value }) => ({ name, data: value })),
      triggerMetadata: request.triggerMetadata,
    },
    metadata,
    log: (level, category, message) =>
      log({
        level,
        category: `Function.${metadata.name}${category === 'user' ? '.User' : ''}`,
        message,
        invocationId: request.invocationId,
      }),
  }
}

/** The function between its hooks. What it throws reaches the post-invocation hooks, which may replace or clear it. */
const runBetweenHooks = async (app: LoadedApp, context: CoreInvocationContext, model: InvocationModel) => {
  const { callback } = app.functions.get(context.metadata.name.toLowerCase())!
  const { context: invocationContext, inputs } = await model.getArguments()
  const shared = { hookData: {}, appHookData: app.appHookData, invocationContext }
  const before = { ...shared, inputs, functionCallback: callback }
  context.state = 'preInvocationHooks'
  await runHooks(app, 'preInvocation', before)

  const after = { ...shared, inputs: before.inputs, result: null as unknown, error: null as unknown }
  context.state = 'invocation'
  try {
    after.result = await model.invokeFunction(invocationContext, before.inputs, before.functionCallback)
  } catch (error) {
    after.error = error
  }
  context.state = 'postInvocationHooks'
  await runHooks(app, 'postInvocation', after)
  context.state = undefined
  // A function that throws undefined or null counts as one that returned: so it is on the real worker.
  if (after.error !== null && after.error !== undefined) throw after.error
  return model.getResponse(invocationContext, after.result)
}

/**
 * Runs one invocation with the app's own invocation model: arguments, hooks, handler, response. Never rejects.
 * Source of the order: the invocation handler of azure-functions-nodejs-worker.
 */
export const runInvocation = async (
  app: LoadedApp,
  request: InvocationRequest,
  log: LogSink,
): Promise<InvocationResult> => {
  if (!app.functions.has(request.functionName.toLowerCase())) {
    return { kind: 'failed', message: `The app has no function "${request.functionName}".`, stack: '' }
  }
  try {
    const context = coreContext(app, request, log)
    const response = await runBetweenHooks(app, context, await app.programmingModel!.getInvocationModel(context))
    const outputs = (response.outputData ?? []).flatMap(({ name, data }) => {
      const value = definedFields(data)
      return value === null ? [] : [[name, value] as const]
    })
    return { kind: 'succeeded', returnValue: definedFields(response.returnValue), outputs: Object.fromEntries(outputs) }
  } catch (error) {
    return { kind: 'failed', message: messageOf(error), stack: stackOf(error) }
  }
}
