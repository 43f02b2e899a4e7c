import type { SidecarReference } from '../domain/recovery-point.ts'
import type { DiskKey } from '../format/names.ts'
import { sidecarName } from '../format/names.ts'
import {
  openSidecarFooter,
  openSidecarGroup,
  type SidecarFooter,
  type SidecarGroup,
  type SidecarGroupEntry,
  sidecarFooterLengthOf,
  sidecarTailBytes,
} from '../format/sidecar.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobReader, CallOptions, ObjectReader } from '../ports/blob-store.ts'
import { readExactly, readFooter } from './objects.ts'

/** A sidecar whose footer is in memory and proven. */
export interface Sidecar {
  readonly name: string
  readonly footer: SidecarFooter
}

/** @throws VaultError where it is not the one that the commit record names */
export const openSidecar = async (
  reader: ObjectReader,
  reference: SidecarReference,
  options: CallOptions = {},
): Promise<Sidecar> => {
  const [recoveryPointId = '', disk = ''] = reference.sidecarId.split('/')
  const name = sidecarName({ recoveryPointId, disk })
  const footer = await readFooter(reader, name, reference, openSidecarFooter, options)
  return { name, footer }
}

/** The sidecar that lies under the disk's name, with what a commit record says of it; null where there is none. @throws VaultError */
export const findSidecar = async (
  reader: BlobReader,
  key: DiskKey,
  options: CallOptions = {},
): Promise<{ readonly reference: SidecarReference; readonly footer: SidecarFooter } | null> => {
  const name = sidecarName(key)
  const lengthBytes = await lengthOf(reader, name, options)
  if (lengthBytes === null) return null
  const tailPlace = tailPlaceOf(lengthBytes, name)
  const tail = await readExactly(reader, name, { offsetBytes: tailPlace, lengthBytes: sidecarTailBytes }, options)
  const place = footerPlaceOf(tail, tailPlace, name)
  const footerBytes = lengthBytes - place
  const bytes = await readExactly(reader, name, { offsetBytes: place, lengthBytes: footerBytes }, options)
  const footer = openSidecarFooter(bytes, { name, place }, lengthBytes)
  const sidecarId = `${key.recoveryPointId}/${key.disk}`
  return { reference: { sidecarId, lengthBytes, footerBytes, digest: footer.digest }, footer }
}

/** The footer of a sidecar that is in memory as a whole. @throws VaultError */
export const openWholeSidecar = (bytes: Uint8Array, name: string): SidecarFooter => {
  const tailPlace = tailPlaceOf(bytes.length, name)
  const place = footerPlaceOf(bytes.subarray(tailPlace), tailPlace, name)
  return openSidecarFooter(bytes.subarray(place), { name, place }, bytes.length)
}

/** One group, proven. @throws VaultError */
export const readSidecarGroup = async (
  reader: ObjectReader,
  name: string,
  entry: SidecarGroupEntry,
  options: CallOptions,
): Promise<SidecarGroup> => {
  const range = { offsetBytes: entry.placeBytes, lengthBytes: entry.lengthBytes }
  return openSidecarGroup(await readExactly(reader, name, range, options), entry, name)
}

const tailPlaceOf = (objectBytes: number, name: string): number => {
  if (objectBytes < sidecarTailBytes) throw new VaultError({ code: 'short', name, place: sidecarTailBytes })
  return objectBytes - sidecarTailBytes
}

const footerPlaceOf = (tail: Uint8Array, tailPlace: number, name: string): number => {
  const place = tailPlace + sidecarTailBytes - sidecarFooterLengthOf(tail, { name, place: tailPlace })
  if (place < 0)
    throw new VaultError({ code: 'malformed', name, place: tailPlace, detail: 'the footer length is wrong' })
  return place
}

const lengthOf = async (reader: BlobReader, name: string, options: CallOptions): Promise<number | null> => {
  for await (const entry of reader.list(name, options)) if (entry.name === name) return entry.lengthBytes
  return null
}
