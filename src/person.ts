import type { SessionClaim } from './session-search.ts'
import type { Session } from './sessions/session.ts'
import type { SessionStore } from './sessions/store.ts'
import { inferPlatform, isOwnedBy, normaliseUserId } from './sessions/user-id.ts'

/** One person, however named: the platform and the normalised id. */
export function describePerson ({ userId, platform = inferPlatform(userId) }: Pick<SessionClaim, 'userId'> & { readonly platform?: string | undefined }): string {
  return `${platform} ${normaliseUserId(userId, platform)}`
}

/** Who sends a request, and the session that had to be looked for to tell. */
export interface FoundPerson {
  readonly person: string
  readonly session: Session | undefined
}

/** The person who sends a request. Who names a session and no platform is on the session's. */
export async function findPerson (store: Pick<SessionStore, 'get'>, { userId, platform, sessionId }: SessionClaim): Promise<FoundPerson> {
  if (sessionId === undefined || platform !== undefined) return { person: describePerson({ userId, platform }), session: undefined }
  const session = await store.get(sessionId)
  // Another's session, or none, is refused later; until then it is the person who is named that asks for it.
  return { person: describePerson(session !== undefined && isOwnedBy(session, userId) ? session : { userId }), session }
}
