import type { Session } from './session.ts'

/** The platforms that a user id alone may name. */
export const KNOWN_PLATFORMS: readonly string[] = ['telegram', 'discord', 'slack', 'whatsapp', 'teams']

/** The platform of a message that names none: the known one that the user id starts with, else `api`. */
export function inferPlatform (userId: string): string {
  return KNOWN_PLATFORMS.find(platform => userId.startsWith(`${platform}_`)) ?? 'api'
}

/** `<platform>_<user_id>`, unless it starts so already. */
export function normaliseUserId (userId: string, platform: string): string {
  return userId.startsWith(`${platform}_`) ? userId : `${platform}_${userId}`
}

/** Whether a session is this person's, who may be named literally or by the id on the session's platform. */
export function isOwnedBy (session: Session, userId: string, platform: string = session.platform): boolean {
  return platform === session.platform && (session.userId === userId || session.userId === normaliseUserId(userId, platform))
}
