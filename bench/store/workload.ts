import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { JsonObject, Session } from '../../src/sessions/session.ts'

/** Longer than any run: no session expires but where a part moves the clock. */
export const TIMEOUT_MS = 24 * 60 * 60 * 1000

/** What makes a row about 180 bytes long, and quoted once, as rows with metadata are. */
const METADATA: JsonObject = { lang: 'en-GB' }

const HEADER = 'session_id,user_id,platform,thread_id,created_at,last_activity,pending_approval,metadata'

/** Sessions by number, the same in every process; the last is the most recently active. */
export function makeSessions (count: number, metadata = METADATA): Session[] {
  const firstMs = Date.now() - TIMEOUT_MS / 2
  return Array.from({ length: count }, (_, index) => ({
    sessionId: makeSessionId(index),
    userId: `telegram_${100_000_000_000 + index}`,
    platform: 'telegram',
    threadId: makeId(`thread ${index}`),
    createdAtMs: firstMs + index - 60_000,
    lastActivityMs: firstMs + index,
    pendingApproval: null,
    metadata,
    extra: {}
  }))
}

export function makeSessionId (index: number): string {
  return makeId(`session ${index}`)
}

/** Where the session file stands in the folder of a run. */
export function getSessionsPath (dir: string): string {
  return join(dir, 'sessions.csv')
}

/** What a write is, in every peer. */
export function touch (session: Session): Session {
  return { ...session, lastActivityMs: Date.now() }
}

/** A session as a line of `sessions.csv`, in the form in which the service writes it. */
export function formatLine (session: Session): string {
  const { sessionId, userId, platform, threadId, metadata } = session
  const [createdAt, lastActivity] = [session.createdAtMs, session.lastActivityMs].map(timeMs => new Date(timeMs).toISOString())
  const json = JSON.stringify(metadata)
  const cell = json.includes('"') ? `"${json.replaceAll('"', '""')}"` : json
  return `${sessionId},${userId},${platform},${threadId},${createdAt},${lastActivity},,${cell}\n`
}

/** Written from outside: through the store, preparing would take longer than measuring. */
export async function writeSessionsFile (path: string, sessions: readonly Session[]): Promise<void> {
  await writeFile(path, `${HEADER}\n${sessions.map(formatLine).join('')}`)
}

/** In the form of a UUID, and as far from the order of the numbers as a random one. */
function makeId (seed: string): string {
  const hex = createHash('sha256').update(seed).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}
