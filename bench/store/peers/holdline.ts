import { CsvSessionStore } from '../../../src/sessions/csv/store.ts'
import { getSessionsPath, makeSessionId, makeSessions, TIMEOUT_MS, touch, writeSessionsFile } from '../workload.ts'
import type { Peer } from './peer.ts'

/** A store of the service on the session file of a folder, not opened yet. What it warns of is no normal run: it is shown. */
export function createStore (dir: string, { fsync = 'always', now = Date.now }: { fsync?: 'always' | 'never', now?: () => number } = {}): CsvSessionStore {
  const log = { info () {}, warn: complain, error: complain }
  return new CsvSessionStore({ path: getSessionsPath(dir), timeoutMs: TIMEOUT_MS, fsync, log, now })
}

export async function openHoldline (dir: string, count: number, fsync: 'always' | 'never'): Promise<Peer> {
  await writeSessionsFile(getSessionsPath(dir), makeSessions(count))
  const store = createStore(dir, { fsync })
  const { loaded } = await store.open()
  if (loaded !== count) throw new Error(`The store loaded ${loaded} of ${count} sessions`)
  const ids = Array.from({ length: count }, (_, index) => makeSessionId(index))
  return {
    write: async (index) => { await store.update(ids[index] ?? '', touch) },
    close: () => store.close()
  }
}

function complain (fields: object, message: string): void {
  console.error(message, fields)
}
