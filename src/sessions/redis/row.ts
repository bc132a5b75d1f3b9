import type { ScriptArgument } from '../../redis/client.ts'
import { readKept, type IndexedRecord, type KeptSession, type SessionRecord } from '../kept-session.ts'

/** The fields of a session's hash that the session is made of, in the order in which scripts answer them. */
export const FIELDS = [
  'user_id', 'platform', 'thread_id', 'created_at', 'last_activity', 'pending_approval', 'metadata', 'extra', 'revision'
] as const

type Find = (name: typeof FIELDS[number]) => unknown

/** Reads what a script answers, an id and the fields; the JSON as it is. Throws a TypeError, naming the field, if that is no session. */
export function readRow (answer: unknown): { readonly record: SessionRecord, readonly revision: number } {
  if (!Array.isArray(answer) || answer.length !== FIELDS.length + 1) throw new TypeError('A script answers no session')
  const [sessionId, ...values]: unknown[] = answer
  const texts = new Map(FIELDS.map((name, index) => [name, values[index]]))
  return readFields(typeof sessionId === 'string' ? sessionId : '', name => texts.get(name))
}

/** Makes a session of what a script answers. Throws a TypeError, naming the field, if it is none. */
export function parseRow (answer: unknown): KeptSession {
  const { record, revision } = readRow(answer)
  return readKept(record, revision)
}

/** The same of the hash as it is. */
export function parseHash (sessionId: string, hash: Readonly<Record<string, string>>): KeptSession {
  const { record, revision } = readFields(sessionId, name => hash[name])
  return readKept(record, revision)
}

/** What scripts are given to write a session: its id, and the values that `write_row` takes. */
export function listValues (record: IndexedRecord): ScriptArgument[] {
  const { sessionId, userId, platform, threadId, createdAtMs, lastActivityMs, pendingApproval, metadata, extra, askedMs = '' } = record
  return [sessionId, userId, platform, threadId, createdAtMs, lastActivityMs, pendingApproval, metadata, extra, askedMs]
}

function readFields (sessionId: string, find: Find): { readonly record: SessionRecord, readonly revision: number } {
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
  return {
    revision: readNumber('revision'),
    record: {
      sessionId,
      userId: read('user_id'),
      platform: read('platform'),
      threadId: read('thread_id'),
      createdAtMs: readNumber('created_at'),
      lastActivityMs: readNumber('last_activity'),
      pendingApproval: read('pending_approval'),
      metadata: read('metadata'),
      extra: read('extra')
    }
  }
}
