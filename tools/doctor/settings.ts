import { parseSchedule } from '../../local/host/timers/schedule.ts'
import { type Config, type ConfigProblem, loadConfig } from '../../shared/config.ts'
import { type Found, ok, problem } from './finding.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The app's own validation, and what else the host wants of the settings: the schedules of the two timers.
 * @returns the configuration, null where something is wrong, with what there is to tell */
export const checkSettings = (
  environment: Environment,
): { readonly config: Config | null; readonly found: readonly Found[] } => {
  const loaded = loadConfig(environment)
  const problems = [
    ...(loaded.kind === 'problems' ? loaded.problems : []),
    ...['BACKUP_SWEEP_SCHEDULE', 'MAINTENANCE_SCHEDULE']
      .filter((name) => loaded.kind === 'ok' || loaded.problems.every(({ setting }) => setting !== name))
      .flatMap((setting) => scheduleProblem(environment, setting)),
  ]
  const found = problems.map(({ setting, problem: what, fix }) => problem(`The setting ${setting} ${what}.`, fix))
  const config = loaded.kind === 'ok' ? loaded.config : null
  return { config, found: found.length > 0 ? found : [ok('All settings are there and well-formed.')] }
}

const scheduleProblem = (environment: Environment, setting: string): ConfigProblem[] => {
  const text = environment[setting]?.trim() ?? ''
  const fix = 'Give an NCRONTAB expression of six fields: second, minute, hour, day, month, day of week.'
  if (text === '') return [{ setting, problem: 'is missing', fix }]
  try {
    parseSchedule(text, environment.WEBSITE_TIME_ZONE ?? 'UTC')
    return []
  } catch {
    return [{ setting, problem: 'is not a schedule', fix }]
  }
}
