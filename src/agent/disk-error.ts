import { isCoded, ServiceError } from '../errors.ts'

/**
 * The codes of SQLite (their beginnings: `SQLITE_IOERR` stands for all thirty of them) after which nothing that a handle says counts any more.
 * SQLITE_BUSY is not one, somebody reads the file; nor SQLITE_NOMEM, the memory is out, and a new handle would find no more of it.
 */
const FAILURE = /^SQLITE_(IOERR|FULL|READONLY|PERM|CANTOPEN|CORRUPT|NOTADB)/

const REASONS: ReadonlyArray<readonly [codes: RegExp, reason: string]> = [
  [/^(SQLITE_FULL|ENOSPC)/, 'no space left'],
  [/^EDQUOT/, 'the disk quota is used up'],
  [/^(SQLITE_READONLY|EROFS)/, 'the file or its file system is read-only'],
  [/^(SQLITE_PERM|EACCES|EPERM)/, 'permission denied'],
  [/^(SQLITE_CORRUPT|SQLITE_NOTADB)/, 'the file is damaged'],
  [/^(SQLITE_CANTOPEN|ENOENT|ENOTDIR)/, 'the file is missing or cannot be opened'],
  [/^(SQLITE_IOERR|EIO)/, 'the disk reports an input/output error'],
  [/^SQLITE_(BUSY|LOCKED)/, 'another program holds the file']
]

/** Whether the disk failed under SQLite, so that the handle that met it is not to be used again. */
export function isDiskFailure (error: unknown): boolean {
  return FAILURE.test(readCode(error) ?? '')
}

/** Whether an error is in any way that of what keeps the conversations, of a handle which is closed included; every other one is the agent's. */
export function isStorageError (error: unknown): boolean {
  return isCoded(error, 'CONVERSATIONS_UNAVAILABLE') || readCode(error)?.startsWith('SQLITE_') === true
}

/** Says why the conversations cannot be saved in words for an operator: no path, no content. */
export function explainDiskError (error: unknown): string {
  const code = readCode(error)
  if (code === undefined) return 'an unexpected error'
  return REASONS.find(([codes]) => codes.test(code))?.[1] ?? `the disk reports ${code}`
}

/** What a caller gets while conversations cannot be saved. */
export function refuseConversation (cause?: unknown): ServiceError {
  return new ServiceError('CONVERSATIONS_UNAVAILABLE', { cause, retryAfterSeconds: 5 })
}

/** Throws an error of a graph's as what a caller may learn: SQLite's are the disk's; every other one without a code of ours is the agent's. */
export function rethrowAsServiceError (error: unknown): never {
  if (error instanceof ServiceError) throw error
  throw isStorageError(error) ? refuseConversation(error) : new ServiceError('AGENT_FAILED', { cause: error })
}

function readCode (error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
