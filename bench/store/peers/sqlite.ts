import { join } from 'node:path'
import Database from 'better-sqlite3'
import { makeSessions } from '../workload.ts'
import type { Peer } from './peer.ts'

export function openSqlite (dir: string, count: number, synchronous: 'FULL' | 'NORMAL'): Peer {
  const database = new Database(join(dir, 'sessions.sqlite'))
  database.pragma('journal_mode = WAL')
  database.pragma(`synchronous = ${synchronous}`)
  database.exec(`CREATE TABLE sessions (session_id TEXT PRIMARY KEY, user_id TEXT, platform TEXT, thread_id TEXT,
    created_at INTEGER, last_activity INTEGER, pending_approval TEXT, metadata TEXT) WITHOUT ROWID`)
  const insert = database.prepare('INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, NULL, ?)')
  const sessions = makeSessions(count)
  database.transaction(() => {
    for (const { sessionId, userId, platform, threadId, createdAtMs, lastActivityMs, metadata } of sessions) {
      insert.run(sessionId, userId, platform, threadId, createdAtMs, lastActivityMs, JSON.stringify(metadata))
    }
  })()
  database.pragma('wal_checkpoint(TRUNCATE)')
  const ids = sessions.map(({ sessionId }) => sessionId)
  const update = database.prepare('UPDATE sessions SET last_activity = ? WHERE session_id = ?')
  return {
    // It works in the foreground: what is asked for while it does waits in the event loop, and that wait is part of the write.
    write: (index) => new Promise((resolve, reject) => {
      setImmediate(() => {
        if (update.run(Date.now(), ids[index]).changes === 1) resolve()
        else reject(new Error('SQLite updated no row'))
      })
    }),
    close: async () => { database.close() }
  }
}
