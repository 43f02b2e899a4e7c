import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

/** The listing at the end of docs/format.md against the golden vault that it is about. A line has a place, then bytes in hex or words in
 * brackets, then what they mean; `…` leaves bytes out. */
const root = join(import.meta.dirname, '..', '..')
const listings = async (): Promise<{ name: string; bytes: Buffer; lengthBytes: number; lines: string[] }[]> => {
  const text = await readFile(join(root, 'docs/format.md'), 'utf8')
  const block = /## 11\.[\s\S]*?```text\n([\s\S]*?)```/.exec(text)?.[1] ?? ''
  return Promise.all(
    block.split('\n\n').map(async (part) => {
      const [title = '', ...lines] = part.trimEnd().split('\n')
      const [, name = '', length] = /^(\S+) \((\d+) bytes\)$/.exec(title) ?? []
      const bytes = await readFile(join(root, 'test/golden/vectors/v1/raw/vault', name))
      return { name, bytes, lengthBytes: Number(length), lines }
    }),
  )
}

describe('the worked example of the format', () => {
  it('shows the bytes of the golden vault, all of them', async () => {
    const found = await listings()
    expect(found.map(({ name }) => name)).toEqual(['segments/r2/os/000000.0001-00000', 'slices/r2/os/000000'])
    for (const { name, bytes, lengthBytes, lines } of found) {
      expect(lengthBytes).toBe(bytes.length)
      const places = lines.map((line) => Number(line.slice(0, 4)))
      expect(places[0]).toBe(0)
      for (const [index, line] of lines.entries()) {
        const shown = line.slice(6, 68).trim()
        if (shown.startsWith('(')) continue
        const [head = '', tail] = shown.split(' … ')
        const field = bytes.subarray(places[index], places[index + 1] ?? bytes.length).toString('hex')
        const hex = (part: string): string => part.replaceAll(' ', '')
        if (tail === undefined) expect(hex(head), `${name} at ${line}`).toBe(field)
        else {
          expect(field.startsWith(hex(head)), `${name} at ${line}`).toBe(true)
          expect(field.endsWith(hex(tail)), `${name} at ${line}`).toBe(true)
          expect(field.length).toBeGreaterThan(hex(head + tail).length)
        }
      }
    }
  })
})
