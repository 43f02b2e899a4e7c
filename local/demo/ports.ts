import { createServer, type Server } from 'node:net'

/** Free ports of 127.0.0.1, one for each wanted one, in the same order: the wanted port where it is free, else any free one. Another program
 * may still take one before it is used: then the part that wanted it ends with a clear error.
 * @param wanted ports that users know the parts by; 0 for any */
export const choosePorts = async (wanted: readonly number[]): Promise<readonly number[]> => {
  const held: { readonly server: Server; readonly port: number }[] = []
  try {
    for (const port of wanted) held.push((await hold(port)) ?? (await holdAny()))
    return held.map(({ port }) => port)
  } finally {
    await Promise.all(held.map(({ server }) => new Promise((resolve) => server.close(resolve))))
  }
}

const holdAny = async (): Promise<{ server: Server; port: number }> => {
  const held = await hold(0)
  if (held === null) throw new Error('No free port is left on 127.0.0.1.')
  return held
}

const hold = (port: number): Promise<{ server: Server; port: number } | null> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(null)
      else reject(error)
    })
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      resolve(address !== null && typeof address === 'object' ? { server, port: address.port } : null)
    })
  })
