import { VaultError } from '../format/vault-error.ts'
import type { CallOptions, ObjectCreator } from '../ports/blob-store.ts'

/** More tries than any step gets; a bound on the search, not a limit anyone should meet. */
const numbersMax = 9999

/** Takes the first number whose marker this call could create. The number belongs to this call alone: a repeated or simultaneous
 * call gets another one, also when the answer to the creation was lost.
 * @param markerOf name of the marker of a number, from 1 */
export const takeNumber = async (
  control: ObjectCreator,
  markerOf: (number: number) => string,
  owner: string,
  options: CallOptions,
): Promise<number> => {
  const body = Buffer.from(`${owner}\n`)
  for (let number = 1; number <= numbersMax; number += 1) {
    if ((await control.create(markerOf(number), [body], options)) === 'created') return number
  }
  throw new VaultError({ code: 'numbers-exhausted', name: markerOf(numbersMax), limit: numbersMax })
}
