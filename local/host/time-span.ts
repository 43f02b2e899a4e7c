const pattern = /^(?:(\d{1,8})\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?$/

/** Reads a .NET TimeSpan as host.json and timer schedules write it: `[d.]hh:mm[:ss[.fffffff]]`.
 * @returns milliseconds, whole; null where the text is not such a span. Hours above 23 are null too: .NET reads the
 * first part of `24:00:00` as days, which is never what was meant. Source: System.TimeSpan.Parse. */
export const parseTimeSpan = (text: string): number | null => {
  const match = pattern.exec(text.trim())
  if (match === null) return null
  const [days, hours, minutes, seconds] = [match[1], match[2], match[3], match[4]].map((part) => Number(part ?? '0'))
  if (hours! > 23 || minutes! > 59 || seconds! > 59) return null
  const fractionMilliseconds = Math.floor(Number(`0.${match[5] ?? '0'}`) * 1000)
  return ((days! * 24 + hours!) * 60 + minutes!) * 60_000 + seconds! * 1000 + fractionMilliseconds
}
