import { mkdir } from 'node:fs/promises'
import { type Fleet, readFleet } from '../compute/fleet.ts'
import { makeSampleFleet, type SampleFleet } from '../fleet/make-sample-fleet.ts'
import type { Console } from './console.ts'
import { type FleetPolicy, parsePolicies } from './policies.ts'

/** The seed of the sample fleet: the same disks on every machine. */
export const sampleSeed = 'deltavault sample'

/** The fleet of this start, found to be right. */
export interface PreparedFleet {
  readonly fleet: Fleet
  readonly policies: readonly FleetPolicy[]
  /** Null where the user brought the fleet: then no disk is ever changed. */
  readonly sample: { readonly folder: string; readonly fleet: SampleFleet } | null
}

/** Makes or takes the sample fleet, or reads the user's own.
 * @throws FleetError before anything is started */
export const prepareFleet = async (
  options: { readonly fleetPath: string | null; readonly dataFolder: string },
  console: Console,
): Promise<PreparedFleet> => {
  if (options.fleetPath !== null) {
    const fleet = await readFleet(options.fleetPath)
    return { fleet, policies: await parsePolicies(options.fleetPath, fleet.policies), sample: null }
  }
  const folder = `${options.dataFolder}/fleet`
  await mkdir(folder, { recursive: true })
  const sample = await makeSampleFleet(folder, sampleSeed, '02:00')
  const kind =
    sample.tools === null ? 'deterministic raw data, as mke2fs is not here' : 'real ext4 file systems on the Linux VM'
  console.say(
    sample.isNew
      ? `A sample fleet was made in ${folder} (${kind}).`
      : `The sample fleet in ${folder} is there already and goes on as it is.`,
  )
  const fleet = await readFleet(sample.fleetPath)
  return { fleet, policies: await parsePolicies(sample.fleetPath, fleet.policies), sample: { folder, fleet: sample } }
}
