import { setTimeout as sleep } from 'node:timers/promises'
import { collectGarbage } from '../collect-garbage.ts'
import { watchEventLoop, type Stalls } from '../event-loop.ts'
import { createStore } from '../peers/holdline.ts'
import { formatNumber } from '../report.ts'
import { watchRenewals } from '../renewals.ts'
import { getSessionsPath, makeSessionId, TIMEOUT_MS, touch } from '../workload.ts'

/** Sessions removed at once, as the service's sweep does. */
const PAGE = 100

/** What the store does while the event loop is watched; the session file stands in `dir`. */
export interface StallsOptions {
  readonly work: 'nothing' | 'updates' | 'sweep' | 'load'
  readonly dir: string
  readonly sessions: number
  readonly durationMs: number
  readonly pauseMs: number
}

/** How long the event loop stood still, and what was done meanwhile. */
export interface StallsOf extends Stalls {
  readonly done: string
}

export async function measureStalls (options: StallsOptions): Promise<StallsOf> {
  switch (options.work) {
    case 'nothing': return await watchNothing(options)
    case 'updates': return await watchUpdates(options)
    case 'sweep': return await watchSweep(options)
    case 'load': return await watchLoad(options)
  }
}

async function watchNothing ({ durationMs }: StallsOptions): Promise<StallsOf> {
  const endWatch = watchEventLoop()
  await sleep(durationMs / 3)
  return { ...await endWatch(), done: 'nothing' }
}

/** The file is rewritten again and again behind a light stream of updates. */
async function watchUpdates ({ dir, sessions, durationMs, pauseMs }: StallsOptions): Promise<StallsOf> {
  const store = createStore(dir)
  await store.open()
  collectGarbage()
  const endRenewals = await watchRenewals(getSessionsPath(dir))
  const endWatch = watchEventLoop()
  let updates = 0
  for (const endsAt = performance.now() + durationMs; performance.now() < endsAt; updates++) {
    await store.update(makeSessionId(Math.floor(Math.random() * sessions)), touch)
    await sleep(pauseMs)
  }
  const stalls = await endWatch()
  const { count } = endRenewals()
  await store.close()
  return { ...stalls, done: `${formatNumber(updates)} updates, file renewed ${count} times` }
}

async function watchSweep ({ dir, sessions, durationMs }: StallsOptions): Promise<StallsOf> {
  let aheadMs = 0
  const now = (): number => Date.now() + aheadMs
  const store = createStore(dir, { now })
  await store.open()
  aheadMs = 2 * TIMEOUT_MS
  collectGarbage()
  const endWatch = watchEventLoop()
  const startedAt = performance.now()
  let removed = 0
  // A store that rewrites the file for each page would take minutes; the stalls show long before.
  for (let page = PAGE; page > 0 && performance.now() < startedAt + 4 * durationMs; removed += page) {
    const silent = await store.removeSilentSince(now() - TIMEOUT_MS, PAGE)
    await store.findThreads(silent.map(({ threadId }) => threadId))
    page = silent.length
  }
  const seconds = (performance.now() - startedAt) / 1000
  const stalls = await endWatch()
  await store.close()
  return { ...stalls, done: `${formatNumber(removed)} of ${formatNumber(sessions)} removed in ${seconds.toFixed(1)} s` }
}

async function watchLoad ({ dir }: StallsOptions): Promise<StallsOf> {
  const store = createStore(dir)
  const endWatch = watchEventLoop()
  const startedAt = performance.now()
  const { loaded } = await store.open()
  const seconds = (performance.now() - startedAt) / 1000
  const stalls = await endWatch()
  await store.close()
  return { ...stalls, done: `${formatNumber(loaded)} loaded in ${seconds.toFixed(1)} s` }
}
