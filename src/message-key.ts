import { createHash } from 'node:crypto'
import { isJsonObject } from './sessions/session.ts'
import { inferPlatform, normaliseUserId } from './sessions/user-id.ts'

/** For how long a repeat of a message is recognised. */
export const KEY_LIFE_MS = 10 * 60_000

/** What makes a message the same one when it comes again. */
export interface MessageKey {
  /** Hexadecimal: of the key, and of whose it is. */
  readonly hash: string
  /** Of the whole body, where it has to be the same: with a key that the client made for it. */
  readonly bodyHash: string | undefined
}

/** A request, as far as it says what it is a repeat of. */
export interface KeyedRequest {
  readonly route: string
  /** Whose API key it bears. */
  readonly clientId: string
  /** The header `Idempotency-Key`. */
  readonly header: string | undefined
  /** The chat platform's own id of the message, where the route has one. */
  readonly messageId: unknown
  readonly body: {
    readonly user_id: string
    readonly platform?: string
    readonly session_id?: string
    readonly message?: string
  }
}

/** The key that a request brings: in its header, or as the chat platform's own id of the message. Undefined if it brings none. */
export function readMessageKey ({ route, clientId, header, messageId, body }: KeyedRequest): MessageKey | undefined {
  if (header !== undefined) {
    return { hash: hashOf([route, clientId, ...describePerson(body), 'header', header]), bodyHash: hashOf([sortKeys(body)]) }
  }
  if (typeof messageId !== 'number' && (typeof messageId !== 'string' || messageId === '')) return undefined
  // People edit what they said: the same message with another text is another message. So is one to another session.
  const to = body.session_id === undefined ? [] : [body.session_id]
  return { hash: hashOf([route, clientId, ...describePerson(body), 'message_id', messageId, body.message, ...to]), bodyHash: undefined }
}

/** Without its platform, a session's is the default: it is not known here, but it is the same at every repeat. */
function describePerson ({ user_id: userId, platform, session_id: sessionId }: KeyedRequest['body']): string[] {
  if (platform === undefined && sessionId !== undefined) return [sessionId, userId]
  const on = platform ?? inferPlatform(userId)
  return ['', on, normaliseUserId(userId, on)]
}

/**
 * An id for a message with this key: a UUID (RFC 9562, version 8) of the time, in its first 48 bits, and the key. So the thread itself tells whether
 * the message was taken, and when, also after a restart.
 */
export function makeMessageId ({ hash }: MessageKey, nowMs: number): string {
  const time = nowMs.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-${formatSuffix(hash)}`
}

/** Whether an id is that of a message with this key, taken not too long ago for a repeat. */
export function isMessageOf ({ hash }: MessageKey, messageId: string, nowMs: number): boolean {
  return messageId.endsWith(`-${formatSuffix(hash)}`) && nowMs - Number.parseInt(messageId.slice(0, 13).replace('-', ''), 16) < KEY_LIFE_MS
}

function formatSuffix (hash: string): string {
  return `8${hash.slice(0, 3)}-b${hash.slice(3, 6)}-${hash.slice(6, 18)}`
}

function hashOf (parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

/** The same value for the same content: a client may write the fields of a repeat in another order. */
function sortKeys (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.keys(value).sort().map(key => [key, sortKeys(value[key])]))
}
