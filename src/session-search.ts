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

/** A session of this id is looked for; `found`: as whoever looked for it on behalf of this request found it. */
export interface NamedClaim extends SessionClaim {
  readonly sessionId: string
  readonly found?: Session | undefined
}

/** The person's most recent session on the platform: by the literal id, as a loaded file may hold it, or the normalised. */
export async function findLatest (store: SessionStore, { userId, platform }: Pick<SessionClaim, 'userId' | 'platform'>): Promise<Session | undefined> {
  const on = platform ?? inferPlatform(userId)
  return await store.findLatest([...new Set([userId, normaliseUserId(userId, on)])], on)
}

/** The session of this id. Throws SESSION_NOT_FOUND if there is none, or none any more. */
export async function getSession (store: SessionStore, sessionId: string): Promise<Session> {
  const session = await store.get(sessionId)
  if (session === undefined) throw new ServiceError('SESSION_NOT_FOUND')
  return session
}

/** Throws SESSION_NOT_FOUND for another person's session, as for one that is not there: ids could be guessed at. */
export function checkOwner (session: Session, { userId, platform }: Pick<SessionClaim, 'userId' | 'platform'>): void {
  if (!isOwnedBy(session, userId, platform)) throw new ServiceError('SESSION_NOT_FOUND')
}
