import { randomBytes } from 'node:crypto'
import { type Azurite, startAzurite } from '../../local/azurite.ts'

/** An Azurite for one test file: in memory on a free port, or in a folder where a test must see it start again with its data.
 * Stop it in `afterAll`, or declare it with `await using`. */
export const startTestAzurite = (folder: string | null = null): Promise<Azurite> => startAzurite({ folder })

/** A container name that no other test of this run uses: lower-case letters, digits and `-`. */
export const freshContainerName = (prefix = 'test'): string => `${prefix}-${randomBytes(6).toString('hex')}`
