import { ServiceError } from './errors.ts'
import type { Session } from './sessions/session.ts'
import type { SessionStore } from './sessions/store.ts'
import { inferPlatform, isOwnedBy, normaliseUserId } from './sessions/user-id.ts'

/** Whose session is looked for; with `sessionId`, which one. */
export interface SessionClaim {
  readonly userId: string
  readonly platform: string | undefined
  readonly sessionId: string | undefined
}

/**
 * The session that a message names, or else the person's most recent one: by the literal id, as a loaded file may hold it, or the normalised.
 * Throws SESSION_NOT_FOUND if one is named that is not there.
 */
export async function findSession (store: SessionStore, { userId, sessionId, platform }: SessionClaim): Promise<Session | undefined> {
  if (sessionId !== undefined) return await findOwnedSession(store, sessionId, userId, platform)
  const on = platform ?? inferPlatform(userId)
  return await store.findLatest([...new Set([userId, normaliseUserId(userId, on)])], on)
}

/** The session of this id. Throws SESSION_NOT_FOUND if there is none, or none any more. */
export async function getSession (store: SessionStore, sessionId: string): Promise<Session> {
  const session = await store.get(sessionId)
  if (session === undefined) throw new ServiceError('SESSION_NOT_FOUND')
  return session
}

/** The same for its person. Throws SESSION_NOT_FOUND also if it is another person's, or ids could be guessed at. */
export async function findOwnedSession (store: SessionStore, sessionId: string, userId: string, platform: string | undefined): Promise<Session> {
  const session = await getSession(store, sessionId)
  if (!isOwnedBy(session, userId, platform)) throw new ServiceError('SESSION_NOT_FOUND')
  return session
}
