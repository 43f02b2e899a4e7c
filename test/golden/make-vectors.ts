/** Makes the golden vaults of the format version that is current. Run by hand when a version is new; files that exist are never
 * overwritten, so a changed format needs a new folder (or, before version 1, the old one's removal, on purpose).
 * Usage: node test/golden/make-vectors.ts */
import { join } from 'node:path'
import { makeGoldenVault, saveGoldenVault } from '../support/golden-vault.ts'

const folder = join(import.meta.dirname, 'vectors', 'v0')
for (const kind of ['raw', 'zstd'] as const) await saveGoldenVault(join(folder, kind), await makeGoldenVault(kind))
