import { createHash, timingSafeEqual } from 'node:crypto'
import { ServiceError } from './errors.ts'

/** What a key may be used for; none of them includes another. */
export const SCOPES = ['chat', 'approve', 'admin'] as const
export type Scope = typeof SCOPES[number]

/** A key that callers may send. It does not hold its secret. */
export interface ApiKey {
  /** Tells it from the others, also after a restart, and nothing of it. */
  readonly id: string
  /** Its place in the list, from 1. */
  readonly position: number
  readonly name: string | undefined
  readonly scopes: ReadonlySet<Scope>
  /** SHA-256 of the secret. */
  readonly digest: Buffer
  /** Whether the secret can be guessed; not known of one that was given as its digest. */
  readonly isWeak: boolean
}

/** A list entry, taken apart. */
interface Entry {
  readonly name: string | undefined
  readonly secret: string
  /** Undefined where it names none. */
  readonly scopes: readonly Scope[] | undefined
}

/** Below, a secret can be found by trying, and a digest by trying faster. */
const MIN_SECRET_LENGTH = 16

/** Short enough that no secret made by a machine passes for a name, which is logged. */
const NAME = /^[\w.-]{1,32}$/

const DIGEST_START = /^sha256:/i
const DIGEST = /^sha256:(?<hex>[0-9a-f]{64})$/i

const FORM = 'API_KEY must be [name:]secret[:scope+scope], or several of these separated by commas'

/**
 * Reads a list of keys, separated by commas, each `[name:]secret[:scope+scope]`. The last part counts as scopes only if each of its words is one, and
 * if there is another part; the first of several that are left is the name. So a secret may hold a colon where it has a name.
 *
 * Without scopes a key may chat and approve; one that is alone, and that has no name either, may do everything.
 *
 * Throws SETTING_INVALID, in one line that says which key is wrong by its place alone.
 */
export function parseApiKeys (text: string): ApiKey[] {
  const entries = text.split(',').map(parseEntry)
  const isBare = entries.length === 1 && entries[0]?.name === undefined
  const keys = entries.map((entry, index) => makeKey(entry, index + 1, isBare ? SCOPES : ['chat', 'approve']))
  for (const key of keys) checkAgainst(key, keys.slice(0, key.position - 1))
  return keys
}

/** The key that was sent. Takes the same time whichever it is, and whatever was sent instead. */
export function findApiKey (keys: readonly ApiKey[], sent: string): ApiKey | undefined {
  const digest = digestOf(sent)
  let found: ApiKey | undefined
  for (const key of keys) {
    // Digests are of one length, which the comparison needs, and so the length of a secret does not show.
    if (timingSafeEqual(key.digest, digest)) found = key
  }
  return found
}

/** Everything in a list, right or wrong, that must not appear in a log. */
export function listKeySecrets (text: string): string[] {
  const parts = text.split(',')
  return [text, ...parts, ...parts.map(part => parseEntry(part).secret)]
}

/** A key as the log names it. */
export function describeKey ({ name, position }: ApiKey): string {
  return name ?? `key ${position}`
}

function parseEntry (text: string): Entry {
  const parts = text.split(':')
  const scopes = parts.length > 1 ? parseScopes(parts.at(-1) ?? '') : undefined
  const left = scopes === undefined ? parts : parts.slice(0, -1)
  const rest = left.join(':')
  if (left.length === 1 || DIGEST_START.test(rest)) return { name: undefined, secret: rest, scopes }
  return { name: left[0], secret: left.slice(1).join(':'), scopes }
}

function parseScopes (text: string): Scope[] | undefined {
  const words = text.split('+')
  const scopes = SCOPES.filter(scope => words.includes(scope))
  return words.every(word => SCOPES.some(scope => scope === word)) ? scopes : undefined
}

function makeKey ({ name, secret, scopes }: Entry, position: number, defaultScopes: readonly Scope[]): ApiKey {
  if (name === undefined && secret === '') throw refuse(`key ${position} is empty`)
  if (secret === '') throw refuse(`key ${position} has no secret`)
  if (name !== undefined && !NAME.test(name)) {
    throw refuse(`key ${position} has a name of more than 32 characters, or of others than letters, digits, ".", "_" and "-"`)
  }
  const hex = DIGEST.exec(secret)?.groups?.hex
  if (hex === undefined && DIGEST_START.test(secret)) throw refuse(`key ${position} has sha256: without 64 hexadecimal digits`)
  const digest = hex === undefined ? digestOf(secret) : Buffer.from(hex, 'hex')
  // What sha256sum says where the variable that should hold the secret is empty.
  if (digest.equals(digestOf(''))) throw refuse(`key ${position} has the digest of nothing`)
  return {
    id: digest.toString('base64url'),
    position,
    name,
    scopes: new Set(scopes ?? defaultScopes),
    digest,
    isWeak: hex === undefined && secret.length < MIN_SECRET_LENGTH
  }
}

/** Two keys that are one would leave open which scopes count; two of one name, which is which in the log. */
function checkAgainst (key: ApiKey, earlier: readonly ApiKey[]): void {
  for (const other of earlier) {
    if (other.id === key.id) throw refuse(`key ${key.position} has the secret of key ${other.position}`)
    if (other.name !== undefined && other.name === key.name) throw refuse(`key ${key.position} has the name of key ${other.position}`)
  }
}

function digestOf (secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

function refuse (problem: string): ServiceError {
  return new ServiceError('SETTING_INVALID', { message: `${FORM}; ${problem}` })
}
