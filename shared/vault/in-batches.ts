/** Runs `work` for the items as they come, `atOnce` at a time; the next ones are taken when those have ended. Memory is that of one batch.
 * The first error ends it. */
export const inBatches = async <Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> => {
  let batch: Promise<void>[] = []
  for await (const item of items) {
    batch.push(work(item))
    if (batch.length < atOnce) continue
    await Promise.all(batch)
    batch = []
  }
  await Promise.all(batch)
}
