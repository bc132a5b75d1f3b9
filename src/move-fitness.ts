import type { Conversations } from './agent/conversations.ts'
import { isEmpty, isPartOf as arePartOf } from './agent/move/conversations.ts'
import { ServiceError } from './errors.ts'
import type { MovePlace } from './move-place.ts'
import { isPartOf } from './sessions/move/sessions.ts'

/**
 * Whether a move from this source to this target has begun before.
 *
 * @throws ServiceError SETTING_INVALID for a target that another source is being moved to, or that holds sessions of its own.
 */
export async function checkSessions (source: Pick<MovePlace, 'name' | 'sessions'>, target: Pick<MovePlace, 'name' | 'sessions'>): Promise<boolean> {
  const mark = await target.sessions.readMark()
  if (mark === source.name) return true
  if (mark !== undefined) throw refuse(`The move from ${mark} to ${target.name} is not finished: run that again, or empty the target`)
  if (!await isPartOf(target.sessions, source.sessions)) throw refuse(`${target.name} holds sessions that ${source.name} does not: it has to be empty`)
  return false
}

/** Throws SETTING_INVALID for a target that holds conversations of its own. */
export async function checkConversations (from: Conversations, to: Conversations, target: string): Promise<void> {
  if (!await isEmpty(to) && !await arePartOf(to, from)) throw refuse(`${target} holds conversations that the source does not: it has to be empty`)
}

function refuse (message: string): ServiceError {
  return new ServiceError('SETTING_INVALID', { message })
}
