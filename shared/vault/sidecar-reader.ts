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
  const tailPlace = lengthBytes - sidecarTailBytes
  if (tailPlace < 0) throw new VaultError({ code: 'short', name, place: sidecarTailBytes })
  const tail = await readExactly(reader, name, { offsetBytes: tailPlace, lengthBytes: sidecarTailBytes }, options)
  const footerBytes = sidecarFooterLengthOf(tail, { name, place: tailPlace })
  const place = lengthBytes - footerBytes
  if (place < 0)
    throw new VaultError({ code: 'malformed', name, place: tailPlace, detail: 'the footer length is wrong' })
  const bytes = await readExactly(reader, name, { offsetBytes: place, lengthBytes: footerBytes }, options)
  const footer = openSidecarFooter(bytes, { name, place }, lengthBytes)
  const sidecarId = `${key.recoveryPointId}/${key.disk}`
  return { reference: { sidecarId, lengthBytes, footerBytes, digest: footer.digest }, footer }
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

const lengthOf = async (reader: BlobReader, name: string, options: CallOptions): Promise<number | null> => {
  for await (const entry of reader.list(name, options)) if (entry.name === name) return entry.lengthBytes
  return null
}
