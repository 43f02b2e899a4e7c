/** Numbers of a few bits each, one behind the other in one word. */
export interface Codec<Fields> {
  pack(fields: Fields): number
  unpack(word: number): Fields
}

/** @param widths bits of each field, 32 together at most
 * @throws Error where a number is wider than its field: two states would be taken for one */
export const createCodec = <Fields extends { readonly [Name in keyof Fields]: number }>(
  widths: {
    readonly [Name in keyof Fields]: number
  },
): Codec<Fields> => {
  const fields: { readonly name: keyof Fields; readonly shift: number; readonly mask: number }[] = []
  let shift = 0
  for (const name of Object.keys(widths) as (keyof Fields)[]) {
    fields.push({ name, shift, mask: 2 ** widths[name] - 1 })
    shift += widths[name]
  }
  if (shift > 32) throw new Error(`a word has 32 bits, not ${shift}`)
  return {
    pack: (of) => {
      let word = 0
      for (const { name, shift: by, mask } of fields) {
        if ((of[name] & ~mask) !== 0) throw new Error(`${String(name)} does not fit: ${of[name]}`)
        word |= of[name] << by
      }
      return word >>> 0
    },
    unpack: (word) => {
      const of = {} as Record<keyof Fields, number>
      for (const { name, shift: by, mask } of fields) of[name] = (word >>> by) & mask
      return of as Fields
    },
  }
}
