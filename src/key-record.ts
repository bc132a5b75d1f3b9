import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { ServiceError } from './errors.ts'
import { KEY_LIFE_MS, type MessageKey } from './message-key.ts'
import { changeOwnMetadata, readOwnMetadata } from './sessions/metadata.ts'
import type { JsonObject } from './sessions/session.ts'

/** More than a person decides in ten minutes, and little enough for a session's row. */
const MAX_RECORDS = 16

/** That a message with a key was taken which is not in the thread by itself: a decision, a text that a question was repeated to, `/new`. */
export const KeyRecord = Type.Object({
  key: Type.String(),
  /** The beginning of the hash of the body that it came with, where a repeat has to have the same. */
  body: Type.Optional(Type.String()),
  /** Milliseconds since the epoch. */
  at: Type.Integer(),
  /** The message in the thread whose turn it was taken in; none after `/new`. */
  message_id: Type.Optional(Type.String())
})
export type KeyRecord = Static<typeof KeyRecord>

/** That a key is used now, in the turn of this message. */
export function makeKeyRecord (key: MessageKey, nowMs: number, messageId?: string): KeyRecord {
  const body = shortenBodyHash(key)
  return { key: key.hash, at: nowMs, ...(body !== undefined && { body }), ...(messageId !== undefined && { message_id: messageId }) }
}

/** The record of a key in a session's metadata, if the key still counts. Throws IDEMPOTENCY_KEY_REUSED. */
export function findKeyRecord (metadata: JsonObject, key: MessageKey, nowMs: number): KeyRecord | undefined {
  const record = readRecords(metadata, nowMs).find(record => record.key === key.hash)
  if (record !== undefined) checkBody(record, key)
  return record
}

/** Throws IDEMPOTENCY_KEY_REUSED if a key comes with another body than before. */
export function checkBody (record: KeyRecord, key: MessageKey): void {
  const body = shortenBodyHash(key)
  if (record.body !== undefined && body !== undefined && record.body !== body) throw new ServiceError('IDEMPOTENCY_KEY_REUSED')
}

/** The metadata with one more record, and without those that count no longer. */
export function addKeyRecord (metadata: JsonObject, record: KeyRecord): JsonObject {
  const others = readRecords(metadata, record.at).filter(({ key }) => key !== record.key)
  return changeOwnMetadata(metadata, { keys: [...others, record].slice(-MAX_RECORDS) })
}

/** Enough to tell one body from another, and little for a session's row. */
function shortenBodyHash ({ bodyHash }: MessageKey): string | undefined {
  return bodyHash?.slice(0, 16)
}

function readRecords (metadata: JsonObject, nowMs: number): KeyRecord[] {
  const { keys } = readOwnMetadata(metadata)
  return Value.Check(Type.Array(KeyRecord), keys) ? keys.filter(({ at }) => nowMs - at < KEY_LIFE_MS) : []
}
