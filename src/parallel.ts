/**
 * Does something with each item, several at a time, in the order in which they come.
 *
 * *Promise.* After a failure no further item is begun, and what is under way ends before this rejects.
 */
export async function forEachParallel<T> (items: AsyncIterable<T>, width: number, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]()
  const failures: unknown[] = []
  const run = async (): Promise<void> => {
    for (;;) {
      const { done, value } = await iterator.next()
      if (done === true || failures.length > 0) return
      await work(value)
    }
  }
  await Promise.all(Array.from({ length: width }, () => run().catch((error: unknown) => { failures.push(error) })))
  if (failures.length > 0) throw failures[0]
}
