import type { Origin } from '../format/byte-reader.ts'
import { decodeSealedJson, encodeSealedJson } from '../format/sealed-json.ts'
import { VaultError } from '../format/vault-error.ts'
import {
  type CallOptions,
  type ObjectCreator,
  type ObjectReader,
  type RangeOptions,
  type ReadOptions,
  StorageError,
} from '../ports/blob-store.ts'

/** Passes an absent signal on as no option at all, as exact optional properties want it. */
export const callOptions = (signal: AbortSignal | undefined): CallOptions => (signal === undefined ? {} : { signal })

/** Exactly these bytes, or the fault that tells which object is missing or short. */
export const readExactly = async (
  reader: ObjectReader,
  name: string,
  range: { readonly offsetBytes: number; readonly lengthBytes: number },
  options: RangeOptions,
): Promise<Uint8Array> => {
  const place = range.offsetBytes + range.lengthBytes
  try {
    const bytes = await reader.readRange(name, range.offsetBytes, range.lengthBytes, options)
    if (bytes === null) throw new VaultError({ code: 'object-missing', name })
    if (bytes.length !== range.lengthBytes) throw new VaultError({ code: 'short', name, place })
    return bytes
  } catch (error) {
    if (error instanceof StorageError && error.fault.code === 'short-object')
      throw new VaultError({ code: 'short', name, place }, { cause: error })
    throw error
  }
}

/** The footer at the end of an object, proven to be the one that a commit record names.
 * @param open proves all but that, as openIndexFooter does
 * @throws VaultError */
export const readFooter = async <Footer extends { readonly digest: string }>(
  reader: ObjectReader,
  name: string,
  reference: { readonly lengthBytes: number; readonly footerBytes: number; readonly digest: string },
  open: (bytes: Uint8Array, origin: Origin, objectBytes: number) => Footer,
  options: CallOptions,
): Promise<Footer> => {
  const place = reference.lengthBytes - reference.footerBytes
  const range = { offsetBytes: place, lengthBytes: reference.footerBytes }
  const footer = open(await readExactly(reader, name, range, options), { name, place }, reference.lengthBytes)
  const { digest: actual } = footer
  const { digest: expected } = reference
  if (actual !== expected) throw new VaultError({ code: 'digest-mismatch', name, place, expected, actual })
  return footer
}

/** The record of a sealed JSON object, its digest checked; null where there is no such object. */
export const readSealed = async (reader: ObjectReader, name: string, options: ReadOptions): Promise<unknown> => {
  const content = await reader.read(name, options)
  return content === null ? null : decodeSealedJson(content.bytes, name)
}

/** Key: the name; `exists` where somebody made the object before, whose content stays. @throws StorageError of the port */
export const createSealed = (
  creator: ObjectCreator,
  name: string,
  record: unknown,
  options: CallOptions,
): Promise<'created' | 'exists'> => creator.create(name, [encodeSealedJson(record)], options)
