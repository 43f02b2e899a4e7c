import {
  type MaintenanceOutcome,
  type MaintenanceProblem,
  type MaintenanceStage,
  type MaintenanceStep,
  type MaintenanceStepOutcome,
  maintenanceStages,
  plusCounts,
  type StepProblem,
} from '../../shared/domain/maintenance.ts'
import {
  collectGarbage,
  compactLayers,
  expireRecoveryPoints,
  type MaintenanceInput,
  maintainVault,
  scrubVault,
} from '../contracts.ts'
import { continueAs, type OrchestrationContext, registerStory, type Story, status, untilReady } from '../durable.ts'

/** Steps in one history: some 300 events, which replay in milliseconds. */
export const stepsPerGeneration = 50

/** Problems that are told one by one. */
const problemsMax = 20
/** Of these, those that are shown while the pass runs. */
const problemsShownMax = 3
/** Characters of problems in a status: more would not leave room for the rest (see `status`). */
const problemsCharactersMax = 6000

const stepOf = {
  expire: expireRecoveryPoints,
  compact: compactLayers,
  collect: collectGarbage,
  scrub: scrubVault,
} as const satisfies Record<MaintenanceStage, unknown>

/** The story of one pass over the vault: stage after stage, each in bounded steps. A stage that fails is told and left to the next pass;
 * those after it go on, as none of them relies on another. */
export function* maintainVaultStory(
  context: OrchestrationContext,
  input: MaintenanceInput,
): Story<MaintenanceOutcome | undefined> {
  let at = input
  for (let steps = 0; ; steps++) {
    showRunning(context, at)
    if (steps === stepsPerGeneration) return continueAs(context, maintainVault, at)
    const step = yield* untilReady(context, stepOf[at.stage], stepInput(at))
    at = after(at, step)
    if (step.kind === 'more') continue
    const next = maintenanceStages[maintenanceStages.indexOf(at.stage) + 1]
    if (next === undefined) return ended(context, at)
    at = { ...at, stage: next }
  }
}

const showRunning = (context: OrchestrationContext, { stage, passId, counts, problems }: MaintenanceInput): void =>
  status(context, { stage, passId, counts, problems: shown(problems.slice(0, problemsShownMax)) })

/** The first problems, as many as have room. */
const shown = (problems: readonly MaintenanceProblem[]): readonly MaintenanceProblem[] =>
  problems.filter((_, index) => JSON.stringify(problems.slice(0, index + 1)).length <= problemsCharactersMax)

const stepInput = ({ passId, cursor, recheckBefore }: MaintenanceInput): MaintenanceStep =>
  recheckBefore === undefined ? { passId, cursor } : { passId, cursor, recheckBefore }

const after = (at: MaintenanceInput, step: MaintenanceStepOutcome): MaintenanceInput => {
  if (step.kind === 'failed') return { ...at, cursor: null, problems: told(at, [step]) }
  const cursor = step.kind === 'more' ? step.cursor : null
  return { ...at, cursor, counts: plusCounts(at.counts, step.counts), problems: told(at, step.problems ?? []) }
}

const told = ({ stage, problems }: MaintenanceInput, more: readonly StepProblem[]): readonly MaintenanceProblem[] =>
  [...problems, ...more.map(({ reason, message, hint }) => ({ stage, reason, message, hint }))].slice(0, problemsMax)

/** Shows the outcome, with as many problems as have room: it stays readable until the next pass. */
const ended = (context: OrchestrationContext, { passId, counts, problems }: MaintenanceInput): MaintenanceOutcome => {
  const outcome: MaintenanceOutcome = {
    kind: problems.length === 0 ? 'completed' : 'incomplete',
    counts,
    problems,
  }
  status(context, { stage: 'ended', passId, ...outcome, problems: shown(problems) })
  return outcome
}

registerStory(maintainVault, maintainVaultStory)
