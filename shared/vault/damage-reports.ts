import * as v from 'valibot'
import { digestHex } from '../format/digest.ts'
import { encodeSealedJson } from '../format/sealed-json.ts'
import { formatVersion } from '../format/sectors.ts'
import { nullIfUnreadable } from '../format/vault-error.ts'
import type { BlobReader, CallOptions, ControlStore } from '../ports/blob-store.ts'
import { readSealed } from './objects.ts'

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

const touch = v.object({
  recoveryPointId: v.string(),
  /** Null: all disks. */
  disk: v.nullable(v.string()),
  /** In order of offset, those beyond the first ones joined to one; null: the whole disk. */
  ranges: v.nullable(v.array(v.object({ offsetBytes: count, lengthBytes: count }))),
})

const schema = v.object({
  format: v.literal(formatVersion),
  vmKey: v.string(),
  /** The object that is damaged or gone. */
  name: v.string(),
  /** What it is needed for. `data`: frames. `directory`: only to make a lost index again; nothing that is restored reads it. `sidecar`: only to
   * save space. */
  kind: v.picklist(['record', 'key', 'index', 'data', 'directory', 'sidecar']),
  code: v.string(),
  message: v.string(),
  foundAt: v.string(),
  /** Of a segment: places of the damaged frames; null where it is gone as a whole, and for other objects. */
  frames: v.nullable(v.array(count)),
  /** What cannot be restored because of it; empty where everything can. */
  touches: v.array(touch),
})

/** One damaged object and what one VM's recovery points lose by it. Told to people, and to backups, which do not build on it. */
export type DamageReport = Readonly<Omit<v.InferOutput<typeof schema>, 'format'>>

/** What one recovery point loses. */
export type Touch = DamageReport['touches'][number]

const root = 'damage/'

/** Key: VM and object; the last check counts. */
export const writeDamage = async (
  control: ControlStore,
  report: DamageReport,
  options: CallOptions = {},
): Promise<void> => {
  await control.put(nameOf(report), encodeSealedJson({ format: formatVersion, ...report }), options)
}

/** The object was found good, or no recovery point of the VM needs it. Repeatable. */
export const clearDamage = async (
  control: ControlStore,
  of: Pick<DamageReport, 'vmKey' | 'name'>,
  options: CallOptions = {},
): Promise<void> => {
  await control.remove(nameOf(of), undefined, options)
}

/** What is known to be damaged. A report that cannot be read is passed over: the next check of its object writes it anew.
 * @param vmKey of this VM alone; null for all */
export async function* listDamage(
  control: BlobReader,
  vmKey: string | null,
  options: CallOptions = {},
): AsyncGenerator<DamageReport> {
  for await (const { name } of control.list(vmKey === null ? root : `${root}${vmKey}/`, options)) {
    const report = await readReport(control, name, options)
    if (report !== null) yield report
  }
}

/** All reports of the VM. */
export const damageOf = async (
  control: BlobReader,
  vmKey: string,
  options: CallOptions = {},
): Promise<readonly DamageReport[]> => {
  const reports: DamageReport[] = []
  for await (const report of listDamage(control, vmKey, options)) reports.push(report)
  return reports
}

const readReport = async (control: BlobReader, name: string, options: CallOptions): Promise<DamageReport | null> => {
  try {
    const parsed = v.safeParse(schema, await readSealed(control, name, options))
    if (!parsed.success) return null
    const { format: _, ...report } = parsed.output
    return report
  } catch (error) {
    return nullIfUnreadable(error)
  }
}

const nameOf = ({ vmKey, name }: Pick<DamageReport, 'vmKey' | 'name'>): string =>
  `${root}${vmKey}/${digestHex(Buffer.from(name)).slice(0, 40)}.json`
