import type { Host } from './host.ts'

/** A host that is started anew on what it left whenever it is killed. */
export interface RestartingHost extends Host {
  /** Kills engine and worker at once; a new host follows. */
  restart(): void
}

export const startRestartingHost = async (open: () => Promise<Host>): Promise<RestartingHost> => {
  let host = await open()
  let ready: Promise<void> = Promise.resolve()
  const again = async (killed: Promise<void>): Promise<void> => {
    await killed
    host = await open()
  }
  return {
    world: host.world,
    restart: () => {
      const killed = host.kill()
      ready = ready.then(() => again(killed))
    },
    trigger: async (functionName, value) => {
      await ready
      return host.trigger(functionName, value)
    },
    running: () => host.running(),
    nextChange: async () => {
      await ready
      await host.nextChange()
    },
    killWorker: () => host.killWorker(),
    kill: async () => {
      await ready
      await host.kill()
    },
  }
}
