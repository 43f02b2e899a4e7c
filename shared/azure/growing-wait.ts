const secondsMin = 2
const secondsMax = 15

/** How long to stay away from something that is being made: half its age, so that what is made soon is seen soon, and what takes
 * long costs few questions. 2 to 15 seconds; a clock that is wrong changes nothing but that.
 * @param since when its making began, by the platform's clock; undefined counts as now */
export const growingWait = (since: Date | undefined, nowMs: number = Date.now()): number => {
  const ageSeconds = since === undefined ? 0 : (nowMs - since.getTime()) / 1000
  return Math.min(secondsMax, Math.max(secondsMin, Math.ceil(ageSeconds / 2)))
}
