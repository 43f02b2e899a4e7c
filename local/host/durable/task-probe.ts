import type { Answer } from './answer.ts'
import { type HistoryEvent, orchestratorStarted } from './history-event.ts'

/**
 * Finds out whether the library knows a task under the number that the engine gave it. Answers carry no numbers, and a task
 * that is put into a second Task.all looks like a new one; but the library gives it no new number, and so falls behind.
 *
 * The question is a failure without a text for that number, in a turn that is never recorded. The library throws its own
 * error for it if it knows the number, before any code of the app runs; else it keeps the event for later and answers as
 * before. Source: durable-functions 3.5.0, TaskOrchestrationExecutor.setTaskValue.
 */
export const knowsTask = {
  /** JSON texts to put after the history. */
  events(id: number): string[] {
    const at = new Date().toISOString()
    const failure: HistoryEvent = { EventType: 6, TaskScheduledId: id, EventId: -1, IsPlayed: false, Timestamp: at }
    return [orchestratorStarted(at), failure].map((event) => JSON.stringify(event))
  },

  /** True only if the library showed that it does not know the number: its answer is the one it gave without the question.
   * An answer of any other kind proves nothing. */
  denied(before: Answer, probed: Answer): boolean {
    return before.kind === 'state' && JSON.stringify(before) === JSON.stringify(probed)
  },
}
