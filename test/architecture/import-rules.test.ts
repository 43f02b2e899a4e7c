import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

interface CruiseReport {
  readonly summary: {
    readonly totalCruised: number
    readonly violations: readonly { readonly rule: { readonly name: string }; readonly from: string }[]
  }
}

const root = resolve(import.meta.dirname, '../..')
const folders = ['functions', 'shared', 'local', 'tools']
const cruiser = join(root, 'node_modules/.bin/depcruise')

/** dependency-cruiser says "no violations" when it can read no module at all, so the count is looked at too. */
const cruise = (folder: string): CruiseReport['summary'] => {
  const output = mkdtempSync(join(tmpdir(), 'import-report-'))
  const report = join(output, 'report.json')
  const args = ['--config', '.dependency-cruiser.cjs', '--output-type', 'json', '--output-to', report]
  try {
    spawnSync(process.execPath, [cruiser, ...args, ...folders], { cwd: folder, stdio: 'ignore' })
    return (JSON.parse(readFileSync(report, 'utf8')) as CruiseReport).summary
  } finally {
    rmSync(output, { recursive: true })
  }
}

const withFiles = (files: Readonly<Record<string, string>>): CruiseReport['summary'] => {
  const folder = mkdtempSync(join(tmpdir(), 'import-rules-'))
  try {
    for (const name of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json'])
      copyFileSync(join(root, name), join(folder, name))
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    for (const name of folders) mkdirSync(join(folder, name))
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true })
      writeFileSync(join(folder, name), text)
    }
    return cruise(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('the import rules', { timeout: 60_000 }, () => {
  it('hold in the whole tree, and the check sees its modules', () => {
    const summary = cruise(root)
    expect(summary.violations).toEqual([])
    expect(summary.totalCruised).toBeGreaterThan(100)
  })

  const planted: readonly [rule: string, file: string, text: string][] = [
    [
      'orchestrators-are-stories',
      'functions/orchestrators/bad.ts',
      "import { readFileSync } from 'node:fs'\nreadFileSync('x')\n",
    ],
    ['vault-knows-ports', 'shared/vault/bad.ts', "import { request } from 'node:http'\nrequest('x')\n"],
    [
      'sdk-only-in-azure',
      'functions/services.ts',
      "import { BlobServiceClient } from '@azure/storage-blob'\nexport const x = BlobServiceClient\n",
    ],
    ['transfer-threads-compose', 'shared/azure/transfer-worker.ts', "import { x } from '../../functions/x.ts'\nx()\n"],
    [
      'azure-knows-ports',
      'shared/azure/blob-reads.ts',
      "import { x } from './transfer-worker.ts'\nexport const y = x\n",
    ],
    [
      'nothing-imports-the-workshop',
      'shared/azure/bad.ts',
      "import { x } from '../../local/x.ts'\nexport const y = x\n",
    ],
    ['tools-stand-beside-the-app', 'tools/bad.ts', "import { x } from '../functions/x.ts'\nexport const y = x\n"],
    [
      'sdk-only-in-azure',
      'tools/bad.ts',
      "import { BlobServiceClient } from '@azure/storage-blob'\nexport const x = BlobServiceClient\n",
    ],
    ['local-is-not-the-app', 'local/bad.ts', "import { x } from '../tools/x.ts'\nexport const y = x\n"],
  ]
  const plain = Object.fromEntries(folders.map((name) => [`${name}/x.ts`, 'export const x = 1\n']))
  for (const [rule, file, text] of planted) {
    it(`find a planted breach of ${rule} in ${file}`, () => {
      const summary = withFiles({ ...plain, [file]: text })
      expect(summary.violations.map((violation) => violation.rule.name)).toContain(rule)
    })
  }
})
