import type { Static, TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { ReplyError } from 'ioredis'
import { isLeaseLost } from '../../redis/errors.ts'
import { refuseConversation } from '../disk-error.ts'
import { refuseTakenOver } from '../lost-lease.ts'

/** What a script says that stumbled over what it found: the data is spoiled, the server is not. */
const SPOILED = /^(WRONGTYPE|ERR .*user_script)/

/**
 * Waits for an answer of Redis. Throws TURN_TAKEN_OVER for a lease that is gone, a TypeError for a conversation that cannot be read any more, and
 * CONVERSATIONS_UNAVAILABLE for everything else.
 */
export async function hearRedis<T> (answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (isLeaseLost(error)) throw refuseTakenOver(error)
    if (isSpoiled(error)) throw refuseSpoiled(error)
    throw refuseConversation(error)
  }
}

/** What a script answered, as this schema has it; throws a TypeError for anything else. */
export function checkReply<S extends TSchema> (schema: S, reply: unknown): Static<S> {
  if (!Value.Check(schema, reply)) throw refuseSpoiled()
  return reply
}

function refuseSpoiled (cause?: unknown): TypeError {
  return new TypeError('What Redis holds of a conversation cannot be read', { cause })
}

function isSpoiled (error: unknown): boolean {
  return error instanceof Error && error instanceof ReplyError && SPOILED.test(error.message)
}
