import { writeFile } from 'node:fs/promises'
import { writeToBuffer } from 'fast-csv'
import { getSessionsPath, makeSessions, touch } from '../workload.ts'
import type { Peer } from './peer.ts'

/** Keeps sessions as the Python backend does: for each change the whole table is formatted and written over the file, synced never. */
export async function openRewriter (dir: string, count: number): Promise<Peer> {
  const path = getSessionsPath(dir)
  const sessions = makeSessions(count)
  let last = Promise.resolve()
  const save = async (index: number): Promise<void> => {
    const session = sessions[index]
    if (session !== undefined) sessions[index] = touch(session)
    await writeFile(path, await writeToBuffer(sessions.map(toRow), { headers: true }))
  }
  await save(0)
  return {
    write: (index) => {
      last = last.then(() => save(index))
      return last
    },
    close: () => last
  }
}

function toRow (session: ReturnType<typeof touch>): Record<string, string> {
  return {
    session_id: session.sessionId,
    user_id: session.userId,
    platform: session.platform,
    thread_id: session.threadId,
    created_at: new Date(session.createdAtMs).toISOString(),
    last_activity: new Date(session.lastActivityMs).toISOString(),
    pending_approval: '',
    metadata: JSON.stringify(session.metadata)
  }
}
