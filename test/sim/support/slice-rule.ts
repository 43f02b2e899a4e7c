import type { InvocationRequest } from '../../../local/host/invocation.ts'
import { sliceIndexName } from '../../../shared/format/names.ts'
import { callText, type Watch } from './watch.ts'
import type { World } from './world.ts'

/** Holds a run of `transferSlice` to its promise: a slice whose index exists when it begins is neither read from the disk nor written
 * again. Other activities pass. */
export const sliceRule = (world: World, request: InvocationRequest): Watch => {
  if (request.functionName !== 'transferSlice') return (_call, act) => Promise.resolve(act())
  const name = sliceIndexName(JSON.parse(request.inputs[0]?.value.string ?? '{}'))
  const wasCommitted = world.vault.objects.has(name)
  return async (call, act) => {
    const isTransfer = call.operation === 'read' ? call.port === 'disk' : call.name.startsWith('segments/')
    if (wasCommitted && isTransfer) world.broken.push(`${name} was committed, and then: ${callText(call)}`)
    return act()
  }
}
