import { ReplyError } from 'ioredis'
import { isCoded } from '../errors.ts'

/** What the scripts answer when the lease that they are to check is gone; it stands at the beginning of the error. */
const LEASE_LOST = 'HL001'

/** What the server says first, in words for an operator: what happens to the data, and what to do. */
const REPLIES: ReadonlyMap<string, string> = new Map([
  ['WRONGPASS', 'it refuses the name or the password in REDIS_URL'],
  ['NOAUTH', 'it wants a password, and REDIS_URL has none'],
  ['NOPERM', 'the user in REDIS_URL may not do what is needed: it needs scripts, all keys that begin with {holdline}:, and channels'],
  ['READONLY', 'it is a read-only replica: REDIS_URL must name the primary'],
  ['OOM', 'its memory is full: raise its maxmemory, or let sessions end sooner'],
  ['MISCONF', 'it cannot write to its disk'],
  ['NOREPLICAS', 'it has fewer replicas than its min-replicas-to-write asks for'],
  ['MASTERDOWN', 'it is a replica that lost its primary'],
  ['LOADING', 'it still reads its data from the disk'],
  ['BUSY', 'it is busy with a script'],
  ['MOVED', 'it is a node of a cluster that does not hold our keys'],
  ['CLUSTERDOWN', 'its cluster is down']
])

/** Codes of the system and of TLS, likewise. */
const CODES: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nothing listens there'],
  ['ENOTFOUND', 'its host name is not known'],
  ['EAI_AGAIN', 'its host name cannot be looked up at the moment'],
  ['ETIMEDOUT', 'it does not answer'],
  ['EHOSTUNREACH', 'its host cannot be reached'],
  ['ENETUNREACH', 'its network cannot be reached'],
  ['ECONNRESET', 'the connection was lost'],
  ['EPIPE', 'the connection was lost']
])

/** What nothing but a change of REDIS_URL or of the server puts right. */
const HOPELESS = new Set(['WRONGPASS', 'NOAUTH', 'NOPERM'])

/** What an answer says while changes are refused that reads go on beside. */
const REFUSES_WRITES = new Set(['READONLY', 'OOM', 'MISCONF', 'NOREPLICAS'])

/** Whether a script refused to write, since the lease that it checked is gone. */
export function isLeaseLost (error: unknown): boolean {
  return readReply(error) === LEASE_LOST
}

/** Whether the server answers but takes no changes. */
export function refusesWrites (error: unknown): boolean {
  return REFUSES_WRITES.has(readReply(error) ?? '')
}

/** Whether to try again is of no use. */
export function isHopeless (error: unknown): boolean {
  return HOPELESS.has(readReply(error) ?? '') || (error instanceof Error && isOfTls(error))
}

/** Whether the server answered: whatever it was sent, nobody has to wonder what became of it. */
export function isReply (error: unknown): boolean {
  return error instanceof ReplyError
}

/** Whether the server did not answer in time, though it is connected. */
export function isTimeout (error: unknown): boolean {
  return error instanceof Error && error.message === 'Command timed out'
}

/** Whether a command was never sent. */
export function isUnsent (error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("Stream isn't writeable")
}

/** Whether the server does not know a script by its hash. */
export function isUnknownScript (error: unknown): boolean {
  return readReply(error) === 'NOSCRIPT'
}

/** What went wrong, in words for an operator that go on after "Redis: "; no address, no key, no content. */
export function explainRedisError (error: unknown): string {
  if (!(error instanceof Error)) return 'it failed in an unknown way'
  const reply = readReply(error)
  if (reply !== undefined) return REPLIES.get(reply) ?? `it answers with the error ${reply}`
  for (const [code, words] of CODES) if (isCoded(error, code)) return words
  if (isOfTls(error)) return `TLS does not come about (${String(Reflect.get(error, 'code'))}): look at its certificate, or at whether it speaks TLS at all`
  // In the words of ioredis, which have no codes.
  if (/timed out|Socket timeout/.test(error.message)) return 'it does not answer'
  if (/Connection is closed|isn't writeable|max retries|connection close/i.test(error.message)) return 'the connection was lost'
  return 'it failed in an unknown way; the log has the cause'
}

/** The word in capitals that an answer of the server begins with. */
function readReply (error: unknown): string | undefined {
  return error instanceof Error && error instanceof ReplyError ? /^[A-Z][A-Z0-9]*/.exec(error.message)?.[0] ?? 'ERR' : undefined
}

function isOfTls (error: Error): boolean {
  const code: unknown = Reflect.get(error, 'code')
  return typeof code === 'string' && /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|EPROTO$)/.test(code)
}
