import { isCoded } from '../errors.ts'

/** What `holdline.check_lease` raises. */
const LEASE_LOST = 'HL001'

/** The connection is gone, or never came about: of the server (SQLSTATE), of the system, of TLS. */
const LOST_CODE = /^(?:08...|25P0[34]|57P0[1-5]|E(?:CONN(?:RESET|REFUSED|ABORTED)|PIPE|TIMEDOUT|HOSTUNREACH|NETUNREACH|HOSTDOWN|NETDOWN|NOTFOUND|AI_AGAIN)|ENOTCONN)$/

/** The driver says the same in words alone. */
const LOST_MESSAGE = /^(?:Connection terminated|Client (?:has encountered|was closed)|timeout e|Query read timeout|Cannot use a pool)/

/** What an operator is told, by the beginning of the code. */
const REASONS: ReadonlyArray<readonly [codes: RegExp, reason: string]> = [
  [/^28/, 'the name or the password is wrong, or this machine may not connect'],
  [/^3D000/, 'there is no such database'],
  [/^53300/, 'all its connections are taken'],
  [/^53[12]00/, 'its disk or its memory is full'],
  [/^57P0[1-3]/, 'it is stopping or starting'],
  [/^57014|^55P03/, 'it took too long'],
  [/^25P0[34]|^08/, 'the connection was lost'],
  [/^25006/, 'it is read-only'],
  [/^42501/, 'the user lacks a right'],
  [/^(?:3F000|42P01|42883|42703)/, 'what the migrations made is missing'],
  [/^(?:ENOTFOUND|EAI_AGAIN)/, 'its name is not known'],
  [/^ECONNREFUSED/, 'nothing listens at its address'],
  [/^E(?:TIMEDOUT|HOSTUNREACH|NETUNREACH|HOSTDOWN|NETDOWN)/, 'its address cannot be reached'],
  [/^E(?:CONNRESET|CONNABORTED|PIPE|NOTCONN)/, 'the connection was lost'],
  [/^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS)/, 'its TLS certificate cannot be verified']
]

const MESSAGES: ReadonlyArray<readonly [message: RegExp, reason: string]> = [
  [/does not support SSL/, 'it does not speak TLS, which sslmode asks for'],
  [/^timeout exceeded/, 'no connection was free in time'],
  [/^(?:timeout|Query read|Connection terminated due)/, 'it does not answer in time'],
  [/^(?:Connection|Client)/, 'the connection was lost'],
  [/^Cannot use a pool/, 'the connections are closed']
]

/** Whether a write was refused since the lease that it came under is lost. */
export function isLeaseLost (error: unknown): boolean {
  return isCoded(error, LEASE_LOST)
}

/** Whether the connection was lost, or could not be had: what was sent over it may have taken effect, or not. */
export function isConnectionLost (error: unknown): boolean {
  return error instanceof Error && (LOST_CODE.test(readCode(error)) || LOST_MESSAGE.test(error.message))
}

/**
 * Whether a connection broke under what was sent over it: another one may be had at once. Not so where none could be had, or where the server does
 * not answer.
 */
export function isCutOff (error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const isBroken = /^(?:080[01][036]|25P0[34]|57P0[125]|ECONNRESET|EPIPE)$/.test(readCode(error))
  return isBroken || /^(?:Connection terminated(?! due)|Client has)/.test(error.message)
}

/** Whether the server answers, and keeps no change: it is read-only, a standby for instance, or its disk is full. */
export function isWriteRefused (error: unknown): boolean {
  return isCoded(error, '25006') || isCoded(error, '53100')
}

/** Says what is wrong with Postgres in words for an operator: no host, no SQL, no values. */
export function explainPostgresError (error: unknown): string {
  if (!(error instanceof Error)) return 'an unexpected error'
  const code = readCode(error)
  const reason = REASONS.find(([codes]) => codes.test(code)) ?? MESSAGES.find(([messages]) => messages.test(error.message))
  return reason?.[1] ?? (code === '' ? 'an unexpected error' : `it reports ${code}`)
}

function readCode (error: Error): string {
  // Where a name has several addresses, each of which failed.
  if (error instanceof AggregateError) return error.errors.map(one => one instanceof Error ? readCode(one) : '').find(code => code !== '') ?? ''
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}
