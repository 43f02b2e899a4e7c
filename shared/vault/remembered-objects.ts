import type { CallOptions, ObjectCreator, ObjectReader, ReadOptions } from '../ports/blob-store.ts'

/** Bytes remembered in all, of all stores: the small objects of some hundred jobs. */
const bytesMax = 4 * 1024 * 1024
/** A larger object is read anew each time: it would push out too many others. */
const objectBytesMax = 256 * 1024

/** The same objects, for those that are created once and never changed under their names: what this process has read or created of them is
 * not asked for again. Only presence is remembered; what was not there is looked for every time. So an object that was removed since
 * may still be answered, which must not matter to whoever reads it so. ETags are left empty, as nothing is ever replaced.
 * @param decode throws for damaged bytes, which are answered and not remembered: somebody may bring the object back */
export const remembering = (reader: ObjectReader, decode: Decode): ObjectReader => ({
  read: async (name, options?: ReadOptions) => {
    const known = recall(reader, name)
    if (known !== null) return { bytes: known, etag: '' }
    const content = await reader.read(name, options)
    if (content === null) return null
    if (isSound(decode, content.bytes, name)) remember(reader, name, content.bytes)
    return { bytes: content.bytes, etag: '' }
  },
  readRange: (name, offsetBytes, lengthBytes, options) => reader.readRange(name, offsetBytes, lengthBytes, options),
})

type Decode = (bytes: Uint8Array, name: string) => unknown

const isSound = (decode: Decode, bytes: Uint8Array, name: string): boolean => {
  try {
    decode(bytes, name)
    return true
  } catch {
    return false
  }
}

/** Creates such an object. `exists` also where an earlier try of this very call took effect. */
export const createRemembered = async (
  creator: ObjectCreator,
  name: string,
  bytes: Uint8Array,
  options: CallOptions = {},
): Promise<'created' | 'exists'> => {
  const created = await creator.create(name, [bytes], options)
  if (created === 'created') remember(creator, name, bytes)
  return created
}

/** Least recently used first. A process has one vault and one control store; each store object is a world of its own. */
const remembered = new Map<string, Uint8Array>()
let rememberedBytes = 0

const storeNumbers = new WeakMap<ObjectReader, number>()
let stores = 0

const keyOf = (store: ObjectReader, name: string): string => {
  const number = storeNumbers.get(store) ?? ++stores
  storeNumbers.set(store, number)
  return `${number}/${name}`
}

const recall = (store: ObjectReader, name: string): Uint8Array | null => {
  const key = keyOf(store, name)
  const bytes = remembered.get(key)
  if (bytes === undefined) return null
  remembered.delete(key)
  remembered.set(key, bytes)
  return bytes
}

const remember = (store: ObjectReader, name: string, bytes: Uint8Array): void => {
  if (bytes.length > objectBytesMax) return
  const key = keyOf(store, name)
  forget(key)
  remembered.set(key, bytes)
  rememberedBytes += bytes.length
  for (const oldest of remembered.keys()) {
    if (rememberedBytes <= bytesMax) return
    forget(oldest)
  }
}

const forget = (key: string): void => {
  rememberedBytes -= remembered.get(key)?.length ?? 0
  remembered.delete(key)
}
