import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { KEY_LIFE_MS, type MessageKey } from './message-key.ts'
import { changeOwnMetadata, readOwnMetadata } from './sessions/metadata.ts'
import type { JsonObject } from './sessions/session.ts'

/** More than a person decides in ten minutes, and little enough for a session's row. */
const MAX_RECORDS = 16

/** That a message with a key was taken which is not in the thread by itself: a decision, a text that a question was repeated to, `/new`. */
export const KeyRecord = Type.Object({
  key: Type.String(),
  /** Milliseconds since the epoch. */
  at: Type.Integer(),
  /** The message in the thread whose turn it was taken in; none after `/new`. */
  message_id: Type.Optional(Type.String())
})
export type KeyRecord = Static<typeof KeyRecord>

/** The record of a key in a session's metadata, if the key still counts. */
export function findKeyRecord (metadata: JsonObject, { hash }: MessageKey, nowMs: number): KeyRecord | undefined {
  return readRecords(metadata, nowMs).find(record => record.key === hash)
}

/** The metadata with one more record, and without those that count no longer. */
export function addKeyRecord (metadata: JsonObject, record: KeyRecord): JsonObject {
  const others = readRecords(metadata, record.at).filter(({ key }) => key !== record.key)
  return changeOwnMetadata(metadata, { keys: [...others, record].slice(-MAX_RECORDS) })
}

function readRecords (metadata: JsonObject, nowMs: number): KeyRecord[] {
  const { keys } = readOwnMetadata(metadata)
  return Value.Check(Type.Array(KeyRecord), keys) ? keys.filter(({ at }) => nowMs - at < KEY_LIFE_MS) : []
}
