import type { InvocationRequest } from '../../../local/host/invocation.ts'

/** True for the first invocation of one of these functions. */
export const onceIn = (names: readonly string[]) => {
  let isOver = false
  return ({ functionName }: InvocationRequest): boolean => {
    if (isOver || !names.includes(functionName)) return false
    isOver = true
    return true
  }
}
