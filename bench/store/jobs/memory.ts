import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSession } from '../../../src/sessions/session.ts'
import { collectGarbage } from '../collect-garbage.ts'
import { createStore } from '../peers/holdline.ts'

const CREATED_AT_ONCE = 1000
const LOOKS = 20
const LOOK_MS = 250

/** A store on `dir` as it is, and sessions to create in it. */
export interface MemoryOptions {
  readonly dir: string
  readonly creates: number
}

/** What the process holds with an open store. */
export interface Memory {
  readonly bytes: number
  readonly sessions: number
}

export async function measureMemory ({ dir, creates }: MemoryOptions): Promise<Memory> {
  const store = createStore(dir)
  await store.open()
  for (let index = 0; index < creates; index += CREATED_AT_ONCE) {
    const numbers = Array.from({ length: Math.min(CREATED_AT_ONCE, creates - index) }, (_, offset) => index + offset)
    await Promise.all(numbers.map(number => store.create(create(number))))
  }
  // The least of several looks: a file that is being rewritten, or a buffer on its way to the disk, is no session.
  let bytes = Infinity
  for (let look = 0; look < LOOKS; look++) {
    await sleep(LOOK_MS)
    collectGarbage()
    const { heapUsed, external } = process.memoryUsage()
    bytes = Math.min(bytes, heapUsed + external)
  }
  const { count } = await store.count()
  await store.close()
  return { bytes, sessions: count }
}

function create (number: number) {
  return createSession({ userId: `telegram_${100_000_000_000 + number}`, platform: 'telegram', now: Date.now, newId: randomUUID })
}
