import { listKeySecrets } from './api-keys.ts'
import { SECRET_SETTINGS, SETTING_NAMES, type Environment } from './config.ts'

/** Takes the secrets out of a text. */
export type Mask = (text: string) => string

/** Anything shorter is looked for as a whole word: within words that are no secret it would stand by accident. */
const MIN_LENGTH = 6

/** What variables are called that hold secrets of an agent of the user's. */
const SECRET_NAME = /(?:KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$/i

const MASKED = '[secret]'

/**
 * Every value among the variables that must not appear in a log or a message: the settings that are secret, what addresses bear of a name, a password
 * or a query, and what an agent of the user's may know, by the names of its variables. A list of keys counts whole and by each of its parts.
 */
export function listSecrets (env: Environment): string[] {
  const secrets = new Set<string>()
  for (const [name, value = ''] of Object.entries(env)) {
    if (SECRET_SETTINGS.has(name)) for (const part of [value, ...value.split(/[,\s]+/), ...listKeySecrets(value)]) secrets.add(part)
    if (name === 'OTEL_EXPORTER_OTLP_HEADERS') for (const part of listOfHeaders(value)) secrets.add(part)
    const isOurs = SETTING_NAMES.has(name)
    for (const part of [...(SECRET_NAME.test(name) ? [value] : []), ...listOfUrl(value, isOurs)]) {
      if (part.length >= MIN_LENGTH || isOurs) secrets.add(part)
    }
  }
  secrets.delete('')
  return [...secrets]
}

/** The values of headers as they are sent, and what stands behind the scheme in one such as `Bearer <token>`. */
function listOfHeaders (text: string): string[] {
  const values = text.split(',').map(pair => pair.slice(pair.indexOf('=') + 1).trim())
  return values.flatMap(value => [value, decode(value), decode(value).replace(/^[A-Za-z]+ +/, '')]).filter(part => part.length >= MIN_LENGTH)
}

/** Of a server whose users are often called as it is, or as the service: `postgres`, `default`, `holdline`. */
const DATABASE_URL = /^(?:postgres(?:ql)?|rediss?):$/

/** What an address bears that is nobody else's business, as it stands there and as it is sent. */
function listOfUrl (text: string, hasSecretQuery: boolean): string[] {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text) || !URL.canParse(text)) return []
  const { protocol, username, password, search, searchParams } = new URL(text)
  const name = decode(username)
  const word = decode(password)
  const pair = word === '' ? [] : [`${username}:${password}`, Buffer.from(`${name}:${word}`).toString('base64')]
  if (DATABASE_URL.test(protocol) && password !== '') {
    // The name is no secret beside a password, and most parameters, such as `sslmode=require`, are words of every other line.
    const hidden = [...searchParams].filter(([key]) => /password/i.test(key)).map(([, value]) => value)
    return [...pair, password, word, ...hidden].filter(part => part !== '')
  }
  const query = search === '' || !hasSecretQuery ? [] : [search, ...search.slice(1).split('&'), ...searchParams.values()].filter(part => part.length >= MIN_LENGTH)
  return [...pair, username, name, password, word, ...query].filter(part => part !== '')
}

function decode (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // What is no encoding stands for itself.
    return text
  }
}

/** Puts `[secret]` in the place of each of these. */
export function makeMask (secrets: readonly string[]): Mask {
  // The longest first: one may be the beginning of another.
  const sorted = [...new Set(secrets)].filter(secret => secret !== '').sort((a, b) => b.length - a.length)
  if (sorted.length === 0) return text => text
  const pattern = new RegExp(sorted.map(secret => {
    const exact = secret.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
    return secret.length >= MIN_LENGTH ? exact : `(?<!\\w)${exact}(?!\\w)`
  }).join('|'), 'g')
  return text => text.replace(pattern, MASKED)
}

/** The same for a line of JSON, in its values alone: whatever a secret is, the line stays JSON and its fields keep their names. */
export function makeLineMask (secrets: readonly string[]): Mask {
  const mask = makeMask(secrets.flatMap(secret => [secret, JSON.stringify(secret).slice(1, -1)]))
  return line => mask(line) === line
    ? line
    : line.replace(/("(?:[^"\\]|\\.)*")(\s*:)?/g, (whole, text: string, colon?: string) => colon === undefined ? `"${mask(text.slice(1, -1))}"` : whole)
}
