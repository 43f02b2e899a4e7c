import { randomUUID } from 'node:crypto'
import { type Answer, parseAnswer } from './answer.ts'
import { ChildIdInUse } from './carry-out.ts'
import { commitTurn } from './commit-turn.ts'
import { type Conclusion, conclude, failed, refused } from './conclusion.ts'
import type { FoundFunction } from './function-index.ts'
import * as hazards from './hazards.ts'
import { withoutPayload } from './history-cache.ts'
import {
  eventType,
  type HistoryEvent,
  orchestratorStarted,
  type ParentInstance,
  sourceInstanceOf,
} from './history-event.ts'
import { type ReplayOutcome, replay } from './replay.ts'
import type { Decision } from './replay-state.ts'
import { isLive, type MessageRow, type Store } from './store.ts'
import { knowsTask } from './task-probe.ts'
import { orchestrationTrigger, orchestratorInvocation } from './trigger.ts'
import type { Turn, TurnContext } from './turn-context.ts'

/**
 * Gives one instance the messages that are due, calls its function with the whole history, and commits everything that
 * follows in one transaction. A process that dies before the commit leaves all as it was: the turn runs again.
 * @param admitted the messages to take, of one instance, in order; must not be empty
 */
export async function runTurn(context: TurnContext, admitted: readonly MessageRow[]): Promise<void> {
  const turn = gatherTurn(context.store, admitted)
  if (!turn) return dropMessages(context.store, admitted)
  const conclusion = await concludeTurn(context, turn)
  try {
    commitTurn(context, turn, conclusion)
  } catch (error) {
    if (!(error instanceof ChildIdInUse)) throw error
    commitTurn(context, turn, refused(error.message))
  }
}

/** @returns undefined if no message is for a live execution */
function gatherTurn(store: Store, admitted: readonly MessageRow[]): Turn | undefined {
  const instance = store.instance(admitted[0]?.instance_id ?? '')
  if (!instance || !isLive(instance.status)) return undefined
  const forUs = (message: MessageRow) => message.execution_id === null || message.execution_id === instance.execution_id
  const current = admitted.filter(forUs)
  const [first] = current
  if (!first) return undefined
  const parsed: unknown = JSON.parse(first.event)
  // A continued generation brings its own start of turn, and its first turn has nothing else in it.
  if (Array.isArray(parsed))
    return { instance, messages: [first, ...admitted.filter((m) => !forUs(m))], events: parsed }
  const received = current.map((message) => JSON.parse(message.event) as HistoryEvent)
  return { instance, messages: admitted, events: [orchestratorStarted(new Date().toISOString()), ...received] }
}

function dropMessages(store: Store, messages: readonly MessageRow[]): void {
  store.transaction(() => {
    for (const message of messages) store.deleteMessage(message.id)
  })
}

async function concludeTurn(context: TurnContext, turn: Turn): Promise<Conclusion> {
  const { instance, events } = turn
  const found = context.functions.orchestrator(instance.name)
  if (!found) return failed(unknownOrchestrator(instance.name, context.functions.orchestratorNames()))
  const past = context.cache.get(instance.execution_id)
  const texts = [...past.texts, ...events.map((event) => JSON.stringify(event))]
  const answer = await ask(context, turn, found, texts)
  const actions = answer.kind === 'state' ? answer.actions : []
  const history = [...past.events, ...events.map(withoutPayload)]
  const outcome = replay(history, actions, instance.execution_id, context.limits)
  const isLost = outcome.nonDeterminism !== undefined || outcome.terminated !== undefined
  const refusal = isLost
    ? undefined
    : (outcome.refusal ?? (await refusalOf(context, turn, found, texts, answer, outcome)))
  return conclude(instance.name, answer, { ...outcome, refusal })
}

async function ask(
  context: TurnContext,
  turn: Turn,
  found: FoundFunction,
  eventTexts: readonly string[],
): Promise<Answer> {
  const { instance } = turn
  const parent = instance.parent === null ? null : (JSON.parse(instance.parent) as ParentInstance)
  const trigger = orchestrationTrigger({
    eventTexts,
    input: instance.input,
    instanceId: instance.instance_id,
    parentInstanceId: parent?.OrchestrationInstance.InstanceId ?? null,
    isReplaying: !turn.events.some(isStart),
    sourceInstanceId: sourceInstanceOf(
      [...context.cache.get(instance.execution_id).events.slice(0, 2), ...turn.events].find(isStart),
    ),
    limits: context.limits,
  })
  const request = orchestratorInvocation(randomUUID(), found, instance.instance_id, trigger)
  const result = await context.worker.invoke(request)
  // A worker that ends because its host does has failed nobody: the turn is given up and runs again after the next start.
  if (result.kind === 'workerDied' && context.isStopping()) throw new Error('The host is stopping.')
  return parseAnswer(instance.name, result)
}

/** What the replay alone cannot see: names and ids outside the instance, and whether the library counts as we do. */
async function refusalOf(
  context: TurnContext,
  turn: Turn,
  found: FoundFunction,
  texts: readonly string[],
  answer: Answer,
  outcome: ReplayOutcome,
): Promise<string | undefined> {
  for (const decision of outcome.decisions) {
    const refusal = refusalOfDecision(context, turn.instance.instance_id, decision)
    if (refusal !== undefined) return refusal
  }
  const suspect = outcome.suspectedTwin
  if (!suspect) return undefined
  const probed = await ask(context, turn, found, [...texts, ...knowsTask.events(suspect.id)])
  return knowsTask.denied(answer, probed) ? hazards.taskInTwoCompounds(suspect.name) : undefined
}

function refusalOfDecision(context: TurnContext, instanceId: string, decision: Decision): string | undefined {
  if (decision.kind === 'timer') return undefined
  if (decision.kind === 'activity')
    return context.functions.activity(decision.name) ? undefined : hazards.unknownFunction('activity', decision.name)
  if (!context.functions.orchestrator(decision.name)) return hazards.unknownFunction('orchestrator', decision.name)
  return decision.instanceId === instanceId ? hazards.ownIdAsChild(instanceId) : undefined
}

const isStart = (event: HistoryEvent): boolean => event.EventType === eventType.executionStarted

const unknownOrchestrator = (name: string, known: readonly string[]): string =>
  `Orchestrator function '${name}' failed: The function '${name}' doesn't exist, is disabled, or is not an orchestrator ` +
  `function. Additional info: The following are the known orchestrator functions: ${known.map((each) => `'${each}'`).join(', ')}.`
