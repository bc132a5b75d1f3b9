import { ServiceError } from '../../errors.ts'
import type { ScriptArgument } from '../../redis/client.ts'
import { checkSession, RowError } from '../csv/row.ts'
import { readAskedMs } from '../questions.ts'
import { isJsonObject, type JsonObject, type Session } from '../session.ts'

/** The fields of a session's hash that the session is made of, in the order in which scripts answer them. */
export const FIELDS = [
  'user_id', 'platform', 'thread_id', 'created_at', 'last_activity', 'pending_approval', 'metadata', 'extra', 'revision'
] as const

/** A session, and how it is kept. */
export interface KeptSession {
  readonly session: Session
  /** One more with each change. */
  readonly revision: number
  /** The JSON fields as they are written: what a change leaves as it is stays so to the byte, and says more than JSON.parse keeps. */
  readonly texts: RowTexts
}

interface RowTexts {
  /** Empty if nothing is asked. */
  readonly pendingApproval: string
  readonly metadata: string
  readonly extra: string
}

/** Makes a session of what a script answers, its id and the fields. Throws a TypeError, naming the field, if it is none. */
export function parseRow (answer: unknown): KeptSession {
  if (!Array.isArray(answer) || answer.length !== FIELDS.length + 1) throw new TypeError('A script answers no session')
  const [sessionId, ...values]: unknown[] = answer
  const texts = new Map(FIELDS.map((name, index) => [name, values[index]]))
  return parseFields(typeof sessionId === 'string' ? sessionId : '', name => texts.get(name))
}

/** The same of the hash as it is. */
export function parseHash (sessionId: string, hash: Readonly<Record<string, string>>): KeptSession {
  return parseFields(sessionId, name => hash[name])
}

function parseFields (sessionId: string, find: (name: typeof FIELDS[number]) => unknown): KeptSession {
  const read = (name: typeof FIELDS[number]): string => {
    const text = find(name)
    if (typeof text !== 'string') throw new TypeError(`the session has no ${name}`)
    return text
  }
  const readNumber = (name: typeof FIELDS[number]): number => {
    const value = Number(read(name))
    if (!Number.isSafeInteger(value)) throw new TypeError(`${name} is no whole number`)
    return value
  }
  const texts = { pendingApproval: read('pending_approval'), metadata: read('metadata'), extra: read('extra') }
  const session: Session = {
    sessionId,
    userId: read('user_id'),
    platform: read('platform'),
    threadId: read('thread_id'),
    createdAtMs: readNumber('created_at'),
    lastActivityMs: readNumber('last_activity'),
    pendingApproval: texts.pendingApproval === '' ? null : parseObject('pending_approval', texts.pendingApproval),
    metadata: parseObject('metadata', texts.metadata),
    extra: Object.fromEntries(Object.entries(parseObject('extra', texts.extra)).map(([name, value]) => [name, String(value)]))
  }
  return { session, revision: readNumber('revision'), texts }
}

/**
 * How a session is to be kept.
 *
 * @param before The session as it is kept, if it is.
 * @throws ServiceError REQUEST_INVALID for what cannot be kept, by this store or by another one that it may be moved to, naming the column; a
 * TypeError if its metadata or approval has no JSON form.
 */
export function formatTexts (session: Session, before: KeptSession | undefined): RowTexts {
  try {
    checkSession(session, Object.keys(session.extra))
  } catch (cause) {
    if (cause instanceof RowError) throw new ServiceError('REQUEST_INVALID', { message: cause.message, cause })
    throw cause
  }
  // An object never changes in place: the same one is the same text.
  const format = (name: 'pendingApproval' | 'metadata' | 'extra'): string => {
    const value = session[name]
    if (before !== undefined && before.session[name] === value) return before.texts[name]
    return value === null ? '' : formatObject(value)
  }
  return { pendingApproval: format('pendingApproval'), metadata: format('metadata'), extra: format('extra') }
}

/** What scripts are given to write a session: its id, and the values that `write_row` takes. */
export function listValues (session: Session, { pendingApproval, metadata, extra }: RowTexts): ScriptArgument[] {
  const { sessionId, userId, platform, threadId, createdAtMs, lastActivityMs } = session
  const askedMs = session.pendingApproval === null ? '' : readAskedMs(session, session.pendingApproval)
  return [sessionId, userId, platform, threadId, createdAtMs, lastActivityMs, pendingApproval, metadata, extra, askedMs]
}

function parseObject (name: string, text: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new TypeError(`${name} is no JSON`, { cause })
  }
  if (!isJsonObject(value)) throw new TypeError(`${name} is no JSON object`)
  return value
}

function formatObject (value: JsonObject): string {
  const text = JSON.stringify(value)
  if (!text?.startsWith('{')) throw new TypeError('Not a JSON object')
  return text
}
