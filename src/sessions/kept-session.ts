import { ServiceError } from '../errors.ts'
import { checkSession, RowError } from './csv/row.ts'
import { readAskedMs } from './questions.ts'
import { isJsonObject, type JsonObject, type Session } from './session.ts'

/** A session as it lies in a store: its JSON is text, and stays as it was written. */
export interface SessionRecord {
  readonly sessionId: string
  readonly userId: string
  readonly platform: string
  readonly threadId: string
  readonly createdAtMs: number
  readonly lastActivityMs: number
  /** An object, or nothing. */
  readonly pendingApproval: string
  /** An object. */
  readonly metadata: string
  /** An object of texts: the columns that the service does not know, in their order. */
  readonly extra: string
}

/** The same with what a server looks for. */
export interface IndexedRecord extends SessionRecord {
  /** When the question was asked that it waits with; undefined if it waits with none. */
  readonly askedMs: number | undefined
}

/** A session on a server, and how it is kept there. */
export interface KeptSession {
  readonly session: Session
  /** One more with each change. */
  readonly revision: number
  /** The JSON as it is written: what a change leaves as it is stays so to the byte, and says more than JSON.parse keeps. */
  readonly texts: Pick<SessionRecord, 'pendingApproval' | 'metadata' | 'extra'>
}

/** Makes a session of what a server keeps. Throws a TypeError, naming the column, if it is none. */
export function readKept (record: SessionRecord, revision: number): KeptSession {
  const { pendingApproval, metadata, extra, ...rest } = record
  const columns = Object.entries(parseObject('extra', extra)).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)])
  const session: Session = {
    ...rest,
    pendingApproval: pendingApproval === '' ? null : parseObject('pending_approval', pendingApproval),
    metadata: parseObject('metadata', metadata),
    extra: Object.fromEntries(columns)
  }
  return { session, revision, texts: { pendingApproval, metadata, extra } }
}

/**
 * How a session is to be kept.
 *
 * @param before The session as it is kept, if it is.
 * @throws ServiceError REQUEST_INVALID for what cannot be kept, by this store or by another one that it may be moved to, naming the column; a
 * TypeError if its metadata or approval has no JSON form.
 */
export function formatKept (session: Session, before: KeptSession | undefined): IndexedRecord {
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
  const askedMs = session.pendingApproval === null ? undefined : readAskedMs(session, session.pendingApproval)
  return { ...session, pendingApproval: format('pendingApproval'), metadata: format('metadata'), extra: format('extra'), askedMs }
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
