import type { BlobEntry, ControlStore, VaultStore } from '../../../shared/ports/blob-store.ts'
import type { KeyWrapper } from '../../../shared/ports/key-wrapper.ts'

/** One call of a port, as faults and checkers see it. */
export interface PortCall {
  readonly port: 'vault' | 'control' | 'compute' | 'disk' | 'key'
  readonly operation: string
  /** Object name or resource id; never a URL. */
  readonly name: string
}

/** Stands around every call of every port: may note it, delay it, keep it from taking effect, or lose its answer. */
export type Watch = <T>(call: PortCall, act: () => T | Promise<T>) => Promise<T>

/** The text of a call in reports. */
export const callText = ({ port, operation, name }: PortCall): string => `${port}.${operation} ${name}`

/** A store whose every call is watched. A listing is one call. */
export const watchStore = (
  store: ControlStore & VaultStore,
  port: 'vault' | 'control',
  watch: Watch,
): ControlStore & VaultStore => {
  const around = <T>(operation: string, name: string, act: () => Promise<T>) => watch({ port, operation, name }, act)
  return {
    read: (name, options) => around('read', name, () => store.read(name, options)),
    readRange: (name, offsetBytes, lengthBytes, options) =>
      around('readRange', name, () => store.readRange(name, offsetBytes, lengthBytes, options)),
    async *list(prefix, options) {
      yield* await around('list', prefix, async () => {
        const entries: BlobEntry[] = []
        for await (const entry of store.list(prefix, options)) entries.push(entry)
        return entries
      })
    },
    create: (name, parts, options) => around('create', name, () => store.create(name, parts, options)),
    createFromStream: (name, parts, options) =>
      around('createFromStream', name, () => store.createFromStream(name, parts, options)),
    replace: (name, body, etag, options) => around('replace', name, () => store.replace(name, body, etag, options)),
    put: (name, body, options) => around('put', name, () => store.put(name, body, options)),
    remove: (name, etag, options) => around('remove', name, () => store.remove(name, etag, options)),
    purge: (name, etag, options) => around('purge', name, () => store.purge(name, etag, options)),
  }
}

/** A wrapping key whose every call is watched. */
export const watchWrapper = (wrapper: KeyWrapper, watch: Watch): KeyWrapper => ({
  kind: wrapper.kind,
  wrap: (dataKey) => watch({ port: 'key', operation: 'wrap', name: 'kek' }, () => wrapper.wrap(dataKey)),
  unwrap: (wrapping) => watch({ port: 'key', operation: 'unwrap', name: 'kek' }, () => wrapper.unwrap(wrapping)),
})

/** Several watches as one; the first is the outermost. */
export const watches =
  (...all: readonly Watch[]): Watch =>
  <T>(call: PortCall, act: () => T | Promise<T>) =>
    all.reduceRight<() => Promise<T>>(
      (inner, watch) => () => watch<T>(call, inner),
      async () => await act(),
    )()
