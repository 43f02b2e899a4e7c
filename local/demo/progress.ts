import { formatBytes } from './units.ts'

/** What is known of one disk while a job works on it. */
export interface DiskProgress {
  readonly vm: string
  readonly disk: string
  /** One or two words: `waiting`, `transferring`, `done`. */
  readonly phase: string
  /** Bytes moved so far of those that have to be; the total is null while the disk is not planned. */
  readonly doneBytes: number
  readonly totalBytes: number | null
  /** Nothing more will change. */
  readonly isEnded: boolean
}

export interface ProgressView {
  /** Shows the newest state; calls with nothing new show nothing. */
  show(disks: readonly DiskProgress[]): void
  /** Leaves the last state on the screen; what is printed next goes below it. */
  finish(): void
}

/** The part of a terminal or a pipe that a view needs. */
export interface Screen {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  write(text: string): unknown
}

/** On a terminal one block, a bar for each disk, drawn again in place. On a pipe or in a log lines now and then: of what is in another phase
 * than two seconds before, of everything every ten seconds, and of each disk once at its end. */
export const createProgressView = (screen: Screen, nowMs: () => number = Date.now): ProgressView =>
  screen.isTTY ? blockView(screen) : lineView(screen, nowMs)

/** One disk as a line with a bar, cut to the width of the screen. */
const progressLine = (disk: DiskProgress, columns: number): string => {
  const share = disk.totalBytes === null ? 0 : disk.totalBytes === 0 ? 1 : Math.min(1, disk.doneBytes / disk.totalBytes)
  const filled = Math.round(share * barWidth)
  const bar = `${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}`
  const amount = disk.totalBytes === null ? '' : `${formatBytes(disk.doneBytes)} of ${formatBytes(disk.totalBytes)}`
  return `  ${nameOf(disk).padEnd(16)} [${bar}] ${disk.phase.padEnd(10)} ${amount}`.trimEnd().slice(0, columns)
}

const barWidth = 22
const quietMs = 10_000
const briefMs = 2_000

const nameOf = (disk: DiskProgress): string => `${disk.vm} ${disk.disk}`

const blockView = (screen: Screen): ProgressView => {
  let drawn: readonly string[] = []
  return {
    show: (disks) => {
      const lines = disks.map((disk) => progressLine(disk, (screen.columns ?? 100) - 1))
      if (lines.join('\n') === drawn.join('\n')) return
      const up = drawn.length === 0 ? '' : `\u001b[${drawn.length}A`
      screen.write(`${up}${lines.map((line) => `\r\u001b[2K${line}\n`).join('')}\u001b[0J`)
      drawn = lines
    },
    finish: () => {
      drawn = []
    },
  }
}

const lineView = (screen: Screen, nowMs: () => number): ProgressView => {
  const phases = new Map<string, string>()
  let shownAt = nowMs()
  return {
    show: (disks) => {
      const waitedMs = nowMs() - shownAt
      const news = disks.filter((disk) => {
        if (phases.get(nameOf(disk)) === disk.phase) return waitedMs >= quietMs && !disk.isEnded
        return disk.isEnded || waitedMs >= briefMs
      })
      if (news.length === 0) return
      for (const disk of news) {
        phases.set(nameOf(disk), disk.phase)
        screen.write(`${progressLine(disk, 200)}\n`)
      }
      if (waitedMs >= briefMs) shownAt = nowMs()
    },
    finish: () => phases.clear(),
  }
}
