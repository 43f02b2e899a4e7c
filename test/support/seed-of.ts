/** The seed of a random test: what the environment variable says, which replays a run; with SOAK=1 another one each time; else always the same, so
 * that a check which fails tells of the change before it. */
export const seedOf = (variable: string, fixed: number): number =>
  Number(process.env[variable] ?? (process.env.SOAK === '1' ? Math.floor(Math.random() * 2 ** 31) : fixed))
