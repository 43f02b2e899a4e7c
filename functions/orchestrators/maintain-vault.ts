import {
  type MaintenanceOutcome,
  type MaintenanceProblem,
  type MaintenanceStage,
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
    status(context, { stage: at.stage, counts: at.counts, problems: at.problems.length })
    if (steps === stepsPerGeneration) return continueAs(context, maintainVault, at)
    const step = yield* untilReady(context, stepOf[at.stage], { passId: at.passId, cursor: at.cursor })
    at = after(at, step)
    if (step.kind === 'more') continue
    const next = maintenanceStages[maintenanceStages.indexOf(at.stage) + 1]
    if (next === undefined) return ended(context, at)
    at = { ...at, stage: next }
  }
}

const after = (at: MaintenanceInput, step: MaintenanceStepOutcome): MaintenanceInput => {
  if (step.kind === 'failed') return { ...at, cursor: null, problems: told(at, [step]) }
  const cursor = step.kind === 'more' ? step.cursor : null
  return { ...at, cursor, counts: plusCounts(at.counts, step.counts), problems: told(at, step.problems ?? []) }
}

const told = ({ stage, problems }: MaintenanceInput, more: readonly StepProblem[]): readonly MaintenanceProblem[] =>
  [...problems, ...more.map(({ reason, message, hint }) => ({ stage, reason, message, hint }))].slice(0, problemsMax)

/** Shows the outcome, problems in full: it stays readable until the next pass. */
const ended = (context: OrchestrationContext, { passId, counts, problems }: MaintenanceInput): MaintenanceOutcome => {
  const outcome: MaintenanceOutcome = {
    kind: problems.length === 0 ? 'completed' : 'incomplete',
    counts,
    problems,
  }
  status(context, { stage: 'ended', passId, ...outcome })
  return outcome
}

registerStory(maintainVault, maintainVaultStory)
