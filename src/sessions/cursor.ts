import { ServiceError } from '../errors.ts'
import type { Position } from './order.ts'

/** Makes the opaque cursor that a page ends with. */
export function formatCursor ({ lastActivityMs, sessionId }: Position): string {
  return Buffer.from(JSON.stringify([lastActivityMs, sessionId])).toString('base64url')
}

/**
 * Reads a cursor back, of this run or an earlier one.
 *
 * @throws ServiceError REQUEST_INVALID, naming `cursor`.
 */
export function parseCursor (cursor: string): Position {
  let parts: unknown
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch (cause) {
    throw refuseCursor(cause)
  }
  if (!Array.isArray(parts) || parts.length !== 2) throw refuseCursor()
  const [lastActivityMs, sessionId]: unknown[] = parts
  if (typeof lastActivityMs !== 'number' || typeof sessionId !== 'string') throw refuseCursor()
  return { lastActivityMs, sessionId }
}

function refuseCursor (cause?: unknown): ServiceError {
  return new ServiceError('REQUEST_INVALID', { message: 'cursor must be the next_cursor of an earlier page', cause })
}
