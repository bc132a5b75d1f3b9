import { randomUUID } from 'node:crypto'
import { createSession } from '../../../src/sessions/session.ts'
import { createStore } from '../peers/holdline.ts'
import { touch } from '../workload.ts'

/** How much is to be acknowledged before this process may be killed. */
export interface FillOptions {
  readonly dir: string
  readonly creates: number
  readonly updates: number
  readonly writers: number
}

/** Fills a store, goes on updating it for ever, and resolves once enough is acknowledged. */
export async function fillStore ({ dir, creates, updates, writers }: FillOptions): Promise<{ acknowledged: number }> {
  const store = createStore(dir)
  await store.open()
  const ids: string[] = []
  await Promise.all(Array.from({ length: writers }, async (_, writer) => {
    for (let number = writer; number < creates; number += writers) {
      const session = createSession({ userId: `telegram_${number}`, platform: 'telegram', now: Date.now, newId: randomUUID })
      await store.create(session)
      ids.push(session.sessionId)
    }
  }))
  let acknowledged = 0
  await new Promise<void>((resolve, reject) => {
    const update = async (): Promise<never> => {
      for (;;) {
        await store.update(ids[Math.floor(Math.random() * ids.length)] ?? '', touch)
        if (++acknowledged === updates) resolve()
      }
    }
    for (let writer = 0; writer < writers; writer++) update().catch(reject)
  })
  return { acknowledged: ids.length + acknowledged }
}
