import { join } from 'node:path'
import { expect } from 'vitest'
import {
  makeImage,
  mebibyte,
  type PlaneFixture,
  page,
  type RawAnswer,
  startFixture,
  writePages,
} from './plane-fixture.ts'

export const sizeBytes = 4 * mebibyte
export const blobBytes = sizeBytes + 512

/** One disk with two snapshots, an upload, and the SAS URL of each. */
export interface PlaneWorld {
  readonly fixture: PlaneFixture
  /** The raw file of the disk. */
  readonly image: string
  readonly first: string
  readonly second: string
  readonly disk: string
  readonly upload: string
  granted(id: string, access?: 'Read' | 'Write'): Promise<string>
  /** Moves the clock by which grants expire. */
  pass(milliseconds: number): void
  /** Puts back what tests may have set. */
  settle(): void
}

/** Between the snapshots, pages 1 and 5 are written and pages 2 and 9 cleared. */
export const startWorld = async (): Promise<PlaneWorld> => {
  let now = new Date()
  const fixture = await startFixture({ now: () => now })
  const { store, plane } = fixture
  const granted = async (id: string, access: 'Read' | 'Write' = 'Read') => (await store.grant(id, access, 3600)).sasUrl
  const image = await makeImage(join(fixture.folder, 'disk.img'), sizeBytes, [0, 1, 2, 3, 7, 9])
  await store.adoptRawImage('disk', image)
  await store.snapshot('disk', 'first')
  await writePages(image, [1, 5])
  await writePages(image, [2, 9], new Uint8Array(page))
  await store.snapshot('disk', 'second')
  await store.createUpload('upload', sizeBytes)
  const [first, second, disk] = [await granted('first'), await granted('second'), await granted('disk')]
  const upload = await granted('upload', 'Write')
  return {
    ...{ fixture, image, first, second, disk, upload, granted },
    pass(milliseconds) {
      now = new Date(now.getTime() + milliseconds)
    },
    settle() {
      plane.faults.clear()
      plane.settings.pageListMax = 10_000
      plane.settings.latencyMs = 0
    },
  }
}

/** The status, the code and the shape of an error document. */
export const expectError = (answer: RawAnswer, status: number, code: string): void => {
  expect([answer.status, answer.headers['x-ms-error-code']]).toEqual([status, code])
  const start = `\uFEFF<?xml version="1.0" encoding="utf-8"?>\n<Error><Code>${code}</Code><Message>`
  expect(answer.text.startsWith(start)).toBe(true)
}
