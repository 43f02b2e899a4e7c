import * as v from 'valibot'
import { digestHex } from '../format/digest.ts'
import { imageBaseName } from '../format/names.ts'
import { decodeSealedJson, encodeSealedJson } from '../format/sealed-json.ts'
import { formatVersion } from '../format/sectors.ts'
import { nullIfUnreadable } from '../format/vault-error.ts'
import type { BlobReader, CallOptions, ControlStore } from '../ports/blob-store.ts'

const reference = {
  lengthBytes: v.number(),
  footerBytes: v.number(),
  digest: v.string(),
}

const schema = v.object({
  format: v.literal(formatVersion),
  image: v.string(),
  vmKey: v.string(),
  recoveryPointId: v.string(),
  disk: v.string(),
  layer: v.object({ layerId: v.string(), ...reference }),
  sidecar: v.object({ sidecarId: v.string(), ...reference }),
})

/** `bases/<imageKey>.json`: a layer that disks made from the same image may lie on. A hint: what counts is the commit record of the recovery
 * point that it names. */
export type ImageBase = Readonly<Omit<v.InferOutput<typeof schema>, 'format'>>

/** Disks with encrypted frames and others build on bases of their own: neither weakens the other.
 * @param image as `imageOfDisk` names it */
export const imageKeyOf = (image: string, isEncrypted: boolean): string =>
  digestHex(Buffer.from(`${isEncrypted ? 'encrypted' : 'plain'}\n${image}`)).slice(0, 40)

/** Null where there is none, or what there is cannot be read. */
export const readImageBase = async (
  control: BlobReader,
  imageKey: string,
  options: CallOptions = {},
): Promise<ImageBase | null> => (await readWithEtag(control, imageKey, options))?.base ?? null

/** Key: the image. The first base stays while it is usable; of several at once one wins.
 * @param isUsable asked of the base that is there */
export const publishImageBase = async (
  control: ControlStore,
  imageKey: string,
  base: ImageBase,
  isUsable: (existing: ImageBase) => Promise<boolean>,
  options: CallOptions = {},
): Promise<void> => {
  const name = imageBaseName(imageKey)
  const body = encodeSealedJson({ format: formatVersion, ...base })
  if ((await control.create(name, [body], options)) === 'created') return
  const existing = await readWithEtag(control, imageKey, options)
  if (existing === null || (existing.base !== null && (await isUsable(existing.base)))) return
  await control.replace(name, body, existing.etag, options)
}

const readWithEtag = async (
  control: BlobReader,
  imageKey: string,
  options: CallOptions,
): Promise<{ readonly base: ImageBase | null; readonly etag: string } | null> => {
  const name = imageBaseName(imageKey)
  const content = await control.read(name, options)
  if (content === null) return null
  const parsed = v.safeParse(schema, recordOf(content.bytes, name))
  return { base: parsed.success ? parsed.output : null, etag: content.etag }
}

const recordOf = (bytes: Uint8Array, name: string): unknown => {
  try {
    return decodeSealedJson(bytes, name)
  } catch (error) {
    return nullIfUnreadable(error)
  }
}
