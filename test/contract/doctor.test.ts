import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  AccountSASPermissions,
  generateAccountSASQueryParameters,
  SASProtocol,
  StorageSharedKeyCredential,
} from '@azure/storage-blob'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Azurite } from '../../local/azurite.ts'
import { connectStorage } from '../../shared/azure/storage-connection.ts'
import type { ControlStore, VaultStore } from '../../shared/ports/blob-store.ts'
import type { Clock } from '../../shared/ports/clock.ts'
import { createVaultKeys } from '../../shared/vault/vault-keys.ts'
import { vmTrialOf } from '../../tools/doctor/check-vm.ts'
import { connect } from '../../tools/doctor/connect.ts'
import { parseOptions } from '../../tools/doctor/options.ts'
import { runDoctor } from '../../tools/doctor/run-doctor.ts'
import { checkSettings, type Environment } from '../../tools/doctor/settings.ts'
import { startTestAzurite } from '../support/azurite.ts'
import { projectFolder } from '../support/documents.ts'
import { type EmulatedAzure, startEmulatedAzure, subscriptionId } from '../support/emulated-azure.ts'
import { type FakeKeyVault, startFakeKeyVault } from '../support/fake-key-vault.ts'

/** What `npm run doctor` says of a local Azure where all is well, and where one thing at a time is not. */

let azure: EmulatedAzure
let azurite: Azurite
let keyVault: FakeKeyVault
let folder = ''
let healthy: Environment
let vault: VaultStore
let control: ControlStore
/** All that was ever said, for the search for secrets. */
const everything: string[] = []
const fileKey = randomBytes(32).toString('hex')
const otherFileKey = randomBytes(32).toString('hex')

const policy = {
  name: 'daily',
  selection: { tags: { Policy: 'daily' } },
  schedule: { kind: 'daily', times: ['02:00'], timeZone: 'UTC' },
}

beforeAll(async () => {
  process.env.NO_PROXY = '127.0.0.1'
  folder = await mkdtemp(join(tmpdir(), 'doctor-'))
  await writeFile(join(folder, 'wrapping.key'), `${fileKey}\n`)
  await writeFile(join(folder, 'other.key'), `${otherFileKey}\n`)
  ;[azure, azurite, keyVault] = await Promise.all([startEmulatedAzure(), startTestAzurite(), startFakeKeyVault()])
  keyVault.takesToken = (token) => token !== ''
  keyVault.addVersion('kek')
  process.env.HTTPS_PROXY = keyVault.proxyUrl
  healthy = {
    AZURE_SUBSCRIPTION_IDS: subscriptionId,
    AZURE_RESOURCE_MANAGER_ENDPOINT: azure.emulator.armEndpoint,
    BACKUP_SWEEP_SCHEDULE: '0 */5 * * * *',
    MAINTENANCE_SCHEDULE: '0 30 3 * * *',
    VaultStorage: azurite.connectionString,
    AzureWebJobsStorage: azurite.connectionString,
    VAULT_KEY: 'file',
    KEY_FILE: join(folder, 'wrapping.key'),
  }
  const connection = { kind: 'connectionString', connectionString: azurite.connectionString } as const
  ;({ vault, control } = connectStorage({ connection, vaultContainer: 'vault', controlContainer: 'control' }))
  await control.put('policies/daily.json', Buffer.from(JSON.stringify(policy)))
  await vault.create('first', [Buffer.from('makes the container')])
}, 60_000)
afterAll(async () => {
  delete process.env.HTTPS_PROXY
  await azure?.close()
  await azurite?.stop()
  await keyVault?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})
beforeEach(() => azure.emulator.context.faults.clear())

/** The machine's time, moved; waits are cut short. */
const clockOf = (aheadSeconds = 0): Clock => ({
  now: () => new Date(Date.now() + aheadSeconds * 1000),
  sleep: async (_, signal) => {
    signal?.throwIfAborted()
    await new Promise((resolve) => setTimeout(resolve, 20))
  },
})

const examine = async (changes: Environment = {}, vmId: string | null = null, clock: Clock = clockOf()) => {
  const lines: string[] = []
  const trial = vmId === null ? null : vmTrialOf(vmId)
  const environment = { ...healthy, ...changes }
  const code = await runDoctor({ environment, trial, say: (line) => lines.push(line), clock })
  everything.push(...lines)
  const text = lines.join('\n')
  const problems = lines.flatMap((line, index) =>
    line.startsWith('PROBLEM') ? [`${line.replace(/ +/g, ' ')} ${lines[index + 1]?.trim()}`] : [],
  )
  return { code, text, problems, lines }
}

const namesIn = async (store: VaultStore | ControlStore): Promise<readonly string[]> => {
  const names: string[] = []
  for await (const { name } of store.list('')) names.push(name)
  return names
}

describe('where all is well', () => {
  it('the doctor finds no problem, says before what it makes, and leaves nothing', async () => {
    const before = [await namesIn(vault), await namesIn(control)]
    const { code, text, problems, lines } = await examine()
    expect(problems).toEqual([])
    expect(code).toBe(0)
    for (const check of ['settings', 'identity', 'clock', 'vault', 'control', 'wrapping key', 'policies', 'compute'])
      expect(text).toMatch(new RegExp(`^ok +${check} `, 'm'))
    const announced = lines.findIndex((line) => line.includes('makes and removes one object below doctor/'))
    const written = lines.findIndex((line) => line.includes('an object is created once'))
    expect(announced).toBeGreaterThan(0)
    expect(written).toBeGreaterThan(announced)
    expect(text).toContain('The policy daily selects 2 VMs.')
    expect(text).toContain('DELTAVAULT_TEST_BLOB_SERVICE_URI')
    expect([await namesIn(vault), await namesIn(control)]).toEqual(before)
  })

  it('a VM is tried out: two restore points, their ranges and what differs, and nothing stays', async () => {
    const { code, text, problems } = await examine({}, azure.linuxVmId)
    expect(problems).toEqual([])
    expect(code).toBe(0)
    expect(text).toMatch(/in a collection of their own, deltavault-doctor-[0-9a-f]{16}/)
    expect(text).toContain(`HEAD tells the size of the disk: ${24 * 1024 * 1024} bytes.`)
    expect(text).toMatch(/Get Page Ranges answers \(x-ms-version 2021-06-08\): the first range has \d+ bytes at 0\./)
    expect(text).toMatch(/A read of \d+ bytes at 0 answers\./)
    expect(text).toContain('Get Page Ranges with the earlier copy answers: no range.')
    expectNoCopies()
  })

  it('a key in Key Vault wraps and unwraps', async () => {
    const { code, text } = await examine({ VAULT_KEY: 'key-vault', KEY_VAULT_KEY_URL: `${keyVault.origin}/keys/kek` })
    expect(text).toMatch(/ok +wrapping key +The key https:\S+ \(key-vault\) wraps and unwraps\./)
    expect(code).toBe(0)
  })
})

const expectNoCopies = (): void => {
  const { state } = azure.emulator.context
  for (const kind of ['restorePoints', 'restorePointCollections', 'diskRestorePoints'] as const)
    expect(state.list(kind, '/subscriptions/')).toEqual([])
}

/** What the hint says to do. */
const removeByHand = async (vmKey: string): Promise<void> => {
  const { restorePoints, removeEmptyCollection } = connect(checkSettings(healthy).config!)
  const vm = { vmId: azure.linuxVmId, vmKey }
  await vi.waitFor(async () => expect(await restorePoints.release(vm, [])).toMatchObject({ kind: 'released' }), 10_000)
  await vi.waitFor(async () => expect(await removeEmptyCollection(vm)).toEqual({ kind: 'removed' }), 10_000)
}

/** Exactly one check complains, in these words and with this hint. */
const expectOnly = ({ code, problems }: { code: number; problems: readonly string[] }, words: RegExp): void => {
  expect(problems).toHaveLength(1)
  expect(problems[0]).toMatch(words)
  expect(code).toBe(1)
}

describe('where one thing is broken', () => {
  it.each<[string, Environment, RegExp]>([
    [
      'no subscription',
      { AZURE_SUBSCRIPTION_IDS: '' },
      /settings .*AZURE_SUBSCRIPTION_IDS is missing.* -> Name the sub/,
    ],
    ['no schedule', { MAINTENANCE_SCHEDULE: '' }, /settings .*MAINTENANCE_SCHEDULE is missing.* -> .*six fields/],
    ['a bad schedule', { BACKUP_SWEEP_SCHEDULE: '0 0 2 am * *' }, /settings .*BACKUP_SWEEP_SCHEDULE is not a schedule/],
    [
      'a schedule of five fields',
      { BACKUP_SWEEP_SCHEDULE: '*/5 * * * *' },
      /settings .*BACKUP_SWEEP_SCHEDULE does not have six fields.* -> Give an NCRONTAB expression of six fields/,
    ],
    ['a wrong vault container', { VAULT_CONTAINER: 'volt' }, /vault There is no container volt.* -> .*VAULT_CONTAINER/],
    ['a wrong control container', { CONTROL_CONTAINER: 'none' }, /control There is no .* -> .*CONTROL_CONTAINER/],
    [
      'a key file that is not there',
      { KEY_FILE: '/nowhere/kek' },
      /wrapping key .*\/nowhere\/kek does not exist.* -> See that KEY_FILE/,
    ],
    ['a bad hub setting', { AzureWebJobsStorage: 'oops' }, /durable .*AzureWebJobsStorage is not a storage conn/],
  ])('the right check says so: %s', async (_, changes, words) => {
    const examined = await examine(changes)
    expectOnly(examined, words)
    expect(await namesIn(vault)).toEqual(['first'])
  })

  it('wrong settings keep the rest from being checked', async () => {
    const { text, problems } = await examine({ AZURE_SUBSCRIPTION_IDS: 'mine', VAULT_TIER_SEGMENTS: 'Warm' })
    expect(problems).toHaveLength(2)
    expect(text).toMatch(/not checked +all else +The settings must be right first/)
    expect(text).not.toMatch(/ok +/)
  })

  it('data keys are not checked where the container of the vault is missing', async () => {
    const { text } = await examine({ VAULT_CONTAINER: 'volt' })
    expect(text).toMatch(/not checked +data keys +There is no container volt/)
  })

  it('a clock that is an hour ahead', async () => {
    expectOnly(await examine({}, null, clockOf(3600)), /clock .* 3\d\d\d s ahead of .* -> Set the clock by NTP/)
  })

  it('a storage account that lets nobody write', async () => {
    const readOnly = `BlobEndpoint=${azurite.blobEndpoint};SharedAccessSignature=${readOnlySas()}`
    const { problems, code } = await examine({ VaultStorage: readOnly })
    expect(problems[0]).toMatch(/vault Access to doctor\/\w+ is refused.*Storage Blob Data Contributor/)
    expect(code).toBe(1)
  })

  it('an account key that is not the right one', async () => {
    const wrongKey = azurite.connectionString.replace(
      /AccountKey=[^;]+/,
      `AccountKey=${Buffer.from(fileKey, 'hex').toString('base64')}`,
    )
    const { problems } = await examine({ VaultStorage: wrongKey })
    expect(problems.some((line) => /vault Access to vault is refused/.test(line))).toBe(true)
    expect(problems.some((line) => /control Access to control is refused/.test(line))).toBe(true)
    const ofStorage = problems.filter((line) => !line.startsWith('PROBLEM durable'))
    expect(ofStorage.map((line) => line.replace(/.* -> /, '').slice(0, 52))).toEqual(
      ofStorage.map(() => 'See that the containers and the account are the righ'),
    )
  })

  it('a storage account that is not there', async () => {
    const nobody = azurite.connectionString.replace(
      /BlobEndpoint=http:\/\/127.0.0.1:\d+/,
      'BlobEndpoint=http://127.0.0.1:1',
    )
    const { problems } = await examine({ AzureWebJobsStorage: nobody })
    expect(problems).toEqual([
      expect.stringMatching(/durable The storage account does not answer.* -> Check AzureWebJ/),
    ])
  })

  it('a wrapping key that is not that of the vault', async () => {
    const { config } = checkSettings(healthy)
    const { wrappers } = connect(config!)
    await createVaultKeys({ vault, control, wrappers, clock: clockOf() }).current()
    try {
      expect((await examine()).code).toBe(0)
      const examined = await examine({ KEY_FILE: join(folder, 'other.key') })
      expectOnly(examined, /data keys .*keys\/.* -> Name the key file of this very vault/)
      expect(examined.text).not.toContain('Key Vault')
      expect(examined.text).toMatch(/ok +wrapping key/)
    } finally {
      for await (const { name, etag } of vault.list('keys/')) await vault.purge(name, etag)
      await control.remove('keys/current.json')
    }
  })

  it.each<[string, FakeKeyVault['permitted'], RegExp]>([
    [
      'nothing',
      new Set(),
      /does not wrap: the key \S+ may not be used.* -> .*Key Vault Crypto Service Encryption User/,
    ],
    ['unwrapping', new Set(['get', 'wrapKey'] as const), /does not unwrap: the key \S+ may not be used/],
  ])('a Key Vault that does not permit %s', async (_, permitted, words) => {
    keyVault.permitted = permitted
    const examined = await examine({ VAULT_KEY: 'key-vault', KEY_VAULT_KEY_URL: `${keyVault.origin}/keys/kek` })
    keyVault.permitted = new Set(['get', 'wrapKey', 'unwrapKey'])
    expectOnly(examined, words)
  })

  it('a policy that cannot be followed', async () => {
    await control.put(
      'policies/weekly.json',
      Buffer.from(JSON.stringify({ ...policy, name: 'weekly', retention: { daily: 0 } })),
    )
    const examined = await examine()
    await control.remove('policies/weekly.json')
    expectOnly(
      examined,
      /policies The policy weekly cannot be followed: retention\.daily.* -> Correct policies\/weekly/,
    )
  })

  it('a policy that selects nothing', async () => {
    const nothing = { ...policy, name: 'none', selection: { tags: { Policy: 'nobody has this' } } }
    await control.put('policies/none.json', Buffer.from(JSON.stringify(nothing)))
    const examined = await examine()
    await control.remove('policies/none.json')
    expectOnly(examined, /compute The policy none selects no VM.* -> Correct the selection/)
  })

  it.each([
    ['VirtualMachines_ListAll', /compute Azure Resource Manager refused .* lacks a role.* -> .*Reader/],
    ['VirtualMachines_Get', /compute \S+ is listed and cannot be read.* -> .*Reader/],
    ['Disks_Get', /compute The disk os of \S+ cannot be backed up: not-authorized.* -> .*Disk Snapshot Contributor/],
  ])('an identity without the role for %s', async (operation, words) => {
    azure.emulator.context.faults.add({ operation, status: 403, code: 'AuthorizationFailed', times: 1 })
    expectOnly(await examine(), words)
  })

  it.each([
    [
      'RestorePoints_Create',
      /vm The first restore point could not be taken \(not-authorized\).* -> .*Disk Snapshot Cont/,
    ],
    [
      'DiskRestorePoint_GrantAccess',
      /vm Access to the disk restore point was refused .* -> .*Disk Snapshot Contributor/,
    ],
  ])('a VM of which %s is refused: what was made until then is removed', async (operation, words) => {
    azure.emulator.context.faults.add({ operation, status: 403, code: 'AuthorizationFailed', times: 1 })
    expectOnly(await examine({}, azure.linuxVmId), words)
    expectNoCopies()
  })

  it('a subscription that is not there', async () => {
    const examined = await examine({ AZURE_SUBSCRIPTION_IDS: '00000000-0000-0000-0000-000000000001' })
    expectOnly(examined, /compute The policy daily selects no VM.* -> .*AZURE_SUBSCRIPTION_IDS/)
  })

  it('a trial that is interrupted removes what it made', async () => {
    const interrupted = new AbortController()
    const lines: string[] = []
    const say = (line: string) => {
      lines.push(line)
      if (line.includes('The first restore point is taken')) interrupted.abort(new Error('It was interrupted.'))
    }
    const trial = vmTrialOf(azure.linuxVmId, interrupted.signal)
    expect(await runDoctor({ environment: healthy, trial, say, clock: clockOf() })).toBe(1)
    expect(lines.join('\n')).toMatch(/PROBLEM +vm +Error: It was interrupted/)
    expect(lines.join('\n')).toContain('the restore points and their collection are removed')
    expectNoCopies()
  })

  it('a restore point that cannot be removed is named', async () => {
    const fault = { status: 403, code: 'AuthorizationFailed', times: 1 }
    azure.emulator.context.faults.add({ operation: 'RestorePoints_Delete', ...fault })
    const examined = await examine({}, azure.linuxVmId)
    expectOnly(
      examined,
      /vm What was made could not be removed .* -> Remove the restore point collection deltavault-doctor-/,
    )
    await removeByHand(/deltavault-(doctor-\w+) by hand/.exec(examined.text)?.[1] ?? '')
    expectNoCopies()
  })
})

/** `npm run doctor` as an operator has it, but for npm. */
const doctor = async (args: readonly string[], changes: Readonly<Record<string, string>> = {}) => {
  const certificates = join(folder, 'certificates.pem')
  await writeFile(certificates, azure.emulator.certificate)
  const { HTTPS_PROXY: _, ...own } = process.env
  const env = { ...own, ...healthy, NODE_EXTRA_CA_CERTS: certificates, ...changes }
  const child = spawn(process.execPath, [join(projectFolder, 'tools/doctor.ts'), ...args], { env })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  const [code] = (await once(child, 'close')) as [number]
  everything.push(...output.split('\n'))
  return { code, output }
}

describe('the command', () => {
  it('ends with 0 where all is well', async () => {
    const { code, output } = await doctor([])
    expect(output).toContain('No problem was found.')
    expect(code).toBe(0)
  })

  it('ends with 1 where the identity gets no token, and says what to do', async () => {
    const { code, output } = await doctor([], { IDENTITY_HEADER: 'wrong' })
    expect(output).toMatch(/PROBLEM +identity +There is no token for Azure Resource Manager\.\n +-> .*az login/)
    expect(output).toMatch(/not checked +compute +There is no token for Azure Resource Manager/)
    expect(output).toContain('1 problem was found.')
    expect(code).toBe(1)
  })

  it('ends with 2 on wrong options', async () => {
    const { code, output } = await doctor(['--vm', 'machine'])
    expect(output).toMatch(/--vm is not the id of a virtual machine\.\s+npm run doctor \[-- OPTION...\]/)
    expect(code).toBe(2)
  })

  it.each([[['--vm']], [['--vm', '']], [['--fast']], [['now']]])('takes no such options: %j', (args) => {
    expect(parseOptions(args)).toMatchObject({ kind: 'wrong', message: expect.stringContaining('npm run doctor') })
  })

  it('tells its options where it is asked', () => {
    expect(parseOptions(['--help'])).toEqual({ kind: 'help' })
    expect(parseOptions([])).toEqual({ kind: 'run', vmId: null })
  })
})

/** Reads and lists, and no more. */
const readOnlySas = (): string => {
  const [name = '', key = ''] = ['AccountName', 'AccountKey'].map(
    (field) => new RegExp(`${field}=([^;]+)`).exec(azurite.connectionString)?.[1],
  )
  const may = {
    permissions: AccountSASPermissions.parse('rl'),
    services: 'b',
    resourceTypes: 'sco',
    expiresOn: new Date(Date.now() + 3600_000),
    protocol: SASProtocol.HttpsAndHttp,
  }
  return generateAccountSASQueryParameters(may, new StorageSharedKeyCredential(name, key)).toString()
}

it('no secret was said in any of this', () => {
  const said = everything.join('\n')
  expect(everything.length).toBeGreaterThan(200)
  const { IDENTITY_HEADER = 'none' } = process.env
  const accountKey = /AccountKey=([^;]+)/.exec(azurite.connectionString)?.[1] ?? 'none'
  const keys = [fileKey, otherFileKey].flatMap((hex) => [hex, Buffer.from(hex, 'hex').toString('base64')])
  for (const secret of [IDENTITY_HEADER, accountKey, keyVault.token, ...keys]) expect(said).not.toContain(secret)
  expect(said).not.toMatch(/sig=|eyJ[\w-]{10}|Bearer|AccountKey|SharedAccessSignature|[?&]s[evpr]=/i)
})
