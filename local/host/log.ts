/** Levels of the Functions host, least to most severe. Source: FunctionRpc.proto, RpcLog.Level. */
export const logLevels = ['trace', 'debug', 'information', 'warning', 'error', 'critical'] as const

export type LogLevel = (typeof logLevels)[number]

/** One line of the host's log. `category` is `Function.<name>.User` for what a function wrote, as on the real host. */
export interface LogEntry {
  readonly level: LogLevel
  readonly category: string
  readonly message: string
  readonly invocationId?: string
}

export type LogSink = (entry: LogEntry) => void

/** Hides what authenticates: the signature of a SAS URL, function keys in a query, bearer tokens.
 * @returns the text with each secret's value replaced by `…` */
export const withoutSecrets = (text: string): string =>
  text
    .replace(/([?&](?:sig|code)=)[^&\s"'<>]+/gi, '$1…')
    .replace(/(\bbearer\s+)[\w.~+/=-]{16,}/gi, '$1…')
    .replace(/(\bAccountKey=)[^;\s"']+/gi, '$1…')

/** A sink that writes entries at or above `least` as lines: text for people, or one JSON object a line for programs. */
export const lineLog =
  (write: (line: string) => void, form: 'text' | 'json', least: LogLevel): LogSink =>
  (entry) => {
    if (logLevels.indexOf(entry.level) < logLevels.indexOf(least)) return
    const time = new Date().toISOString()
    const message = withoutSecrets(entry.message)
    if (form === 'json') {
      write(JSON.stringify({ time, ...entry, message }))
      return
    }
    const level = entry.level === 'information' ? '' : `${entry.level}: `
    write(`[${time}] ${entry.category}: ${level}${message}`)
  }
