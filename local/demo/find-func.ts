import { access, constants, stat } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'

/** Absolute path of `func`, the program of Azure Functions Core Tools.
 * @param path the variable PATH
 * @throws where it is not to be found, with what to do */
export const requireFunc = async (path: string | undefined): Promise<string> => {
  for (const folder of (path ?? '').split(delimiter)) {
    const file = resolve(join(folder, 'func'))
    if (folder !== '' && (await isProgram(file))) return file
  }
  throw new Error(
    `--host func needs Azure Functions Core Tools, and there is no program func on the PATH.
Install version 4 of them (npm install --global azure-functions-core-tools@4, or
https://learn.microsoft.com/azure/azure-functions/functions-run-local), or leave --host out: the default host needs nothing.`,
  )
}

const isProgram = async (file: string): Promise<boolean> => {
  try {
    await access(file, constants.X_OK)
    return (await stat(file)).isFile()
  } catch {
    return false
  }
}
