/** Runs `work` for the items as they come, `atOnce` at a time; the next ones are taken when those have ended. Memory is that of one batch.
 * The first error, of the work or of the list itself, ends it and is thrown when what had begun has ended. */
export const inBatches = async <Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> => {
  const errors: unknown[] = []
  let batch: Promise<void>[] = []
  const settle = async (): Promise<void> => {
    await Promise.all(batch)
    batch = []
    if (errors.length > 0) throw errors[0]
  }
  try {
    for await (const item of items) {
      batch.push(work(item).catch((error: unknown) => void errors.push(error)))
      if (batch.length === atOnce) await settle()
    }
  } finally {
    await Promise.all(batch)
  }
  await settle()
}
