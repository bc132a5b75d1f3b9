import type { SessionClaim } from './session-search.ts'
import type { SessionStore } from './sessions/store.ts'
import { inferPlatform, isOwnedBy, normaliseUserId } from './sessions/user-id.ts'

/** One person, however named: the platform and the normalised id. */
export function describePerson ({ userId, platform = inferPlatform(userId) }: Pick<SessionClaim, 'userId'> & { readonly platform?: string | undefined }): string {
  return `${platform} ${normaliseUserId(userId, platform)}`
}

/** The person who sends a request. Who names a session and no platform is on the session's. */
export async function findPerson (store: Pick<SessionStore, 'get'>, { userId, platform, sessionId }: SessionClaim): Promise<string> {
  if (sessionId === undefined || platform !== undefined) return describePerson({ userId, platform })
  const session = await store.get(sessionId)
  // Another's session, or none, is refused later; until then it is the person who is named that asks for it.
  return describePerson(session !== undefined && isOwnedBy(session, userId) ? session : { userId })
}
