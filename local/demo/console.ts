import type { Screen } from './progress.ts'

/** Where the demo speaks to the user. */
export interface Console {
  readonly screen: Screen
  say(line?: string): void
  /** A heading with an empty line before it. */
  title(text: string): void
}

/** A console on a stream; headings are bold on a terminal. */
export const consoleOn = (screen: Screen): Console => ({
  screen,
  say: (line = '') => void screen.write(`${line}\n`),
  title: (text) => void screen.write(screen.isTTY ? `\n\u001b[1m${text}\u001b[0m\n` : `\n${text}\n`),
})
