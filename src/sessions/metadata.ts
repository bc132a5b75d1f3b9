import { isDeepStrictEqual } from 'node:util'
import { ServiceError } from '../errors.ts'
import { dropHidden } from '../visible-text.ts'
import { shorten } from './text.ts'
import { isJsonObject, type JsonObject } from './session.ts'

/** Bytes of JSON that a session's metadata may have, without the service's own. */
export const MAX_METADATA_BYTES = 16 * 1024

/** Characters of a person's name. */
const MAX_NAME = 200

/** The key that belongs to the service. */
const RESERVED_KEY = 'holdline'

/**
 * A client's metadata merged into a session's, key by key; `null` removes a key. Returns the same object if nothing changes.
 * Throws REQUEST_INVALID for the reserved key and for a result over `MAX_METADATA_BYTES`.
 */
export function mergeMetadata (current: JsonObject, change: JsonObject | undefined): JsonObject {
  if (change === undefined || Object.keys(change).length === 0) return current
  if (Object.hasOwn(change, RESERVED_KEY)) {
    throw new ServiceError('REQUEST_INVALID', { message: `metadata.${RESERVED_KEY} belongs to the service and cannot be set` })
  }
  // The same object for the same content: its text in a loaded file may say more than JSON.parse keeps (big integers).
  const isKept = ([key, value]: [string, unknown]) => value === null ? !Object.hasOwn(current, key) : isDeepStrictEqual(value, current[key])
  if (Object.entries(change).every(isKept)) return current
  const merged = Object.fromEntries(Object.entries({ ...current, ...change }).filter(([key]) => change[key] !== null))
  // What the service keeps there is not the client's to pay for.
  const { [RESERVED_KEY]: _ours, ...clients } = merged
  const bytes = Buffer.byteLength(JSON.stringify(clients))
  if (bytes > MAX_METADATA_BYTES) {
    throw new ServiceError('REQUEST_INVALID', { message: `metadata may have ${MAX_METADATA_BYTES} bytes of JSON once merged, received ${bytes}` })
  }
  return merged
}

/** A session's metadata as clients see it: of what is the service's own, the log of decisions. */
export function showMetadata (metadata: JsonObject): JsonObject {
  if (!Object.hasOwn(metadata, RESERVED_KEY)) return metadata
  const { [RESERVED_KEY]: _ours, ...shown } = metadata
  const { decisions } = readOwnMetadata(metadata)
  return decisions === undefined ? shown : { ...shown, [RESERVED_KEY]: { decisions } }
}

/** What the service itself keeps with a session. */
export function readOwnMetadata (metadata: JsonObject): JsonObject {
  const ours = metadata[RESERVED_KEY]
  return isJsonObject(ours) ? ours : {}
}

/** The metadata with what the service itself keeps changed, key by key. */
export function changeOwnMetadata (metadata: JsonObject, change: JsonObject): JsonObject {
  return { ...metadata, [RESERVED_KEY]: { ...readOwnMetadata(metadata), ...change } }
}

/** The person's name as `metadata.user_profile.name` gives it: one line, nothing hidden in it, at most 200 characters. */
export function readUserName (metadata: JsonObject): string | undefined {
  const profile = readUserProfile(metadata)
  if (typeof profile?.name !== 'string') return undefined
  const name = dropHidden(profile.name)
  return name === '' ? undefined : shorten(name, MAX_NAME)
}

/** What is known about the person: `metadata.user_profile`, where it is an object. */
export function readUserProfile (metadata: JsonObject): JsonObject | undefined {
  const profile = metadata.user_profile
  return isJsonObject(profile) ? profile : undefined
}
