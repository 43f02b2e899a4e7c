import {
  type MaintenanceOutcome,
  type MaintenanceProblem,
  type MaintenanceStage,
  type MaintenanceStep,
  type MaintenanceStepOutcome,
  type Mended,
  maintenanceStages,
  plusCounts,
  type StepProblem,
  standing,
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
/** Mended objects that are told one by one; `rebuilt` counts all. */
const mendedMax = 20
const mendedCharactersMax = 1500

const stepOf = {
  expire: expireRecoveryPoints,
  compact: compactLayers,
  collect: collectGarbage,
  scrub: scrubVault,
} as const satisfies Record<MaintenanceStage, unknown>

/** The story of one pass over the vault: stage after stage, each in bounded steps. A stage that fails is told and left to the next pass;
 * those after it go on, as none of them relies on another. What a stage could not do because of something that a later one mends is no problem of the pass. */
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

const showRunning = (context: OrchestrationContext, at: MaintenanceInput): void => {
  const { stage, passId, counts, problems } = at
  status(context, { stage, passId, counts, ...shown({ ...at, problems: problems.slice(0, problemsShownMax) }) })
}

/** The first problems and mended objects, as many as have room. */
const shown = ({ problems, mended }: Pick<MaintenanceInput, 'problems' | 'mended'>) => {
  const told = problems.map(({ objects: _, ...problem }) => problem)
  return {
    problems: fitting(told, problemsCharactersMax),
    ...(mended === undefined ? {} : { mended: fitting(mended, mendedCharactersMax) }),
  }
}

const fitting = <Item>(items: readonly Item[], charactersMax: number): readonly Item[] =>
  items.filter((_, index) => JSON.stringify(items.slice(0, index + 1)).length <= charactersMax)

const stepInput = ({ passId, cursor, recheckBefore }: MaintenanceInput): MaintenanceStep =>
  recheckBefore === undefined ? { passId, cursor } : { passId, cursor, recheckBefore }

const after = (at: MaintenanceInput, step: MaintenanceStepOutcome): MaintenanceInput => {
  if (step.kind === 'failed') return { ...at, cursor: null, problems: told(at, [step]) }
  const cursor = step.kind === 'more' ? step.cursor : null
  const { counts, problems = [], mended = [] } = step
  return {
    ...at,
    cursor,
    counts: plusCounts(at.counts, counts),
    problems: told({ ...at, problems: standing(at.problems, mended) }, problems),
    ...plusMended(at, mended),
  }
}

const plusMended = ({ mended = [] }: MaintenanceInput, more: readonly Mended[]): Pick<MaintenanceInput, 'mended'> =>
  more.length === 0 ? {} : { mended: [...mended, ...more].slice(0, mendedMax) }

/** What does not fit is told as one problem that nothing mends: a pass that left something out is never told as complete. */
const told = ({ stage, problems }: MaintenanceInput, more: readonly StepProblem[]): readonly MaintenanceProblem[] => {
  const all = [...problems, ...more.map((problem) => ({ stage, ...withoutKind(problem) }))]
  return all.length <= problemsMax ? all : [...all.slice(0, problemsMax - 1), { stage, ...moreProblems }]
}

const moreProblems: StepProblem = {
  reason: 'more-problems',
  message: `More than ${problemsMax} problems were found; the others are not told one by one.`,
  hint: 'Cure those that are told: the next pass tells what is left.',
}

const withoutKind = ({ reason, message, hint, objects }: StepProblem): StepProblem =>
  objects === undefined ? { reason, message, hint } : { reason, message, hint, objects }

/** Shows the outcome, with as many problems as have room: it stays readable until the next pass. */
const ended = (context: OrchestrationContext, at: MaintenanceInput): MaintenanceOutcome => {
  const { passId, counts, problems, mended } = at
  const outcome: MaintenanceOutcome = {
    kind: problems.length === 0 ? 'completed' : 'incomplete',
    counts,
    problems,
    ...(mended === undefined ? {} : { mended }),
  }
  status(context, { stage: 'ended', passId, ...outcome, ...shown(at) })
  return outcome
}

registerStory(maintainVault, maintainVaultStory)
