/** Runs `work` for each item as it comes, at most `atOnce` at a time. The first error, of the work or of the
 * list itself, stops the taking of new items and is thrown when what had begun has ended. */
export const forEachBounded = async <Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> => {
  const running = new Set<Promise<void>>()
  const errors: unknown[] = []
  try {
    for await (const item of items) {
      const task: Promise<void> = work(item)
        .catch((error: unknown) => void errors.push(error))
        .finally(() => running.delete(task))
      running.add(task)
      if (running.size >= atOnce) await Promise.race(running)
      if (errors.length > 0) break
    }
  } catch (error) {
    errors.push(error)
  }
  await Promise.all(running)
  if (errors.length > 0) throw errors[0]
}
