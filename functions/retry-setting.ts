/** First wait between two tries of an activity, in milliseconds; each next wait is twice as long. The setting ACTIVITY_RETRY_FIRST_MS
 * is read once in a process. No recorded event holds it, so a change between two replays of a job does no harm. */
export const firstRetryMs = Math.max(1, Math.trunc(Number(process.env.ACTIVITY_RETRY_FIRST_MS)) || 5000)
