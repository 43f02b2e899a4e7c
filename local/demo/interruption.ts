/** Resolves with the exit code that a shell expects (128 and the signal's number) at the first Ctrl-C or SIGTERM; a second one ends the process
 * at once. To be called once, before anything is started. */
export const interruption = (): Promise<number> =>
  new Promise((resolve) => {
    let code: number | null = null
    const onSignal = (signalCode: number) => (): void => {
      if (code !== null) process.exit(code)
      code = signalCode
      resolve(signalCode)
    }
    process.on('SIGINT', onSignal(130))
    process.on('SIGTERM', onSignal(143))
  })
