import type { Extent } from '../domain/extent.ts'
import type { KeyRing } from '../format/data-key.ts'
import { VaultError } from '../format/vault-error.ts'
import type { CallOptions, ObjectReader } from '../ports/blob-store.ts'
import { createPageFilter, type PageComparer, type PageFilter } from './compare-pages.ts'
import { createSidecarComparer } from './compare-sidecar.ts'
import { createStackComparer } from './compare-stack.ts'
import type { Comparison } from './comparison.ts'
import { openSidecar } from './sidecar-reader.ts'
import { openStack } from './stack.ts'

/** The filter of one slice.
 * @param of the ranges of the slice and the size of the source's disk
 * @throws VaultError where the index of a layer below is missing or damaged */
export const openPageFilter = async (
  deps: { readonly vault: ObjectReader; readonly keys: KeyRing },
  comparison: Comparison,
  of: { readonly ranges: Iterable<Extent>; readonly diskBytes: number },
  options: CallOptions,
): Promise<PageFilter> => {
  if (comparison.kind === 'image') return createPageFilter(await openImage(deps, comparison, options))
  const { stack } = comparison
  const open = await openStack(deps.vault, { stack, sizeBytes: of.diskBytes }, { ...options, keys: deps.keys })
  return createPageFilter(createStackComparer(open, of.ranges, options))
}

/** Without its sidecar the image's layer cannot be compared with: each page is then said to be damaged, and stored. */
const openImage = async (
  deps: { readonly vault: ObjectReader; readonly keys: KeyRing },
  { sidecar }: Comparison & { readonly kind: 'image' },
  options: CallOptions,
): Promise<PageComparer> => {
  try {
    return createSidecarComparer(deps, await openSidecar(deps.vault, sidecar, options), options)
  } catch (error) {
    if (!(error instanceof VaultError)) throw error
    return {
      isHeld: () => {
        throw error
      },
      close: async () => undefined,
    }
  }
}
