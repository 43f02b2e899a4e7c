/** A duration as .NET writes it: `d.hh:mm:ss`, without the days where there are none; whole seconds. */
export function dotNetTimeSpan(durationMs: number): string {
  const seconds = Math.floor(durationMs / 1000)
  const days = Math.floor(seconds / 86_400)
  const parts = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60]
  const clock = parts.map((part) => String(part).padStart(2, '0')).join(':')
  return days > 0 ? `${days}.${clock}` : clock
}
