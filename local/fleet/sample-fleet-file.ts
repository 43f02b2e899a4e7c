import type { SampleMachine } from './sample-machines.ts'

/** The subscription of the sample fleet: one that nobody has. */
const subscription = '00000000-0000-4000-8000-000000000001'

/** The name of the sample fleet's policy. */
const samplePolicyName = 'daily'

/** What the OS disks were made from: a further VM of one of these stores only what is its own. */
const imageOf = {
  Linux: { publisher: 'Canonical', offer: 'ubuntu-24_04-lts', sku: 'server', version: '24.04.202609100' },
  Windows: {
    publisher: 'MicrosoftWindowsDesktop',
    offer: 'windows-11',
    sku: 'win11-25h2-ent',
    version: '26200.6584.250905',
  },
} as const

/** The sample fleet as a fleet file; local/README.md describes the format. The policy finds its VMs by their tag.
 * @param policyTime `HH:MM` in UTC */
export const fleetFileOf = (machines: readonly SampleMachine[], policyTime: string) => ({
  subscription,
  resourceGroups: [...new Set(machines.map(({ resourceGroup }) => resourceGroup))].map((name) => ({
    name,
    location: 'westeurope',
  })),
  virtualMachines: machines.map(({ name, resourceGroup, osType, disks }) => ({
    name,
    resourceGroup,
    osType,
    imageReference: imageOf[osType],
    tags: { backup: samplePolicyName },
    disks: disks.map((disk) => ({ name: disk.name, lun: disk.lun ?? 'os', image: `images/${disk.name}.raw` })),
  })),
  policies: [
    {
      name: samplePolicyName,
      selection: { tags: { backup: samplePolicyName } },
      schedule: { kind: 'daily', times: [policyTime], timeZone: 'UTC' },
      retention: { daily: 30 },
    },
  ],
})
