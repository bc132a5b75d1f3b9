import { BlockList, isIP } from 'node:net'
import { parseApiKeys, type ApiKey } from './api-keys.ts'
import { ServiceError } from './errors.ts'

/** What says who may call. */
export interface AccessSettings {
  /** `API_KEY`. */
  readonly apiKey: string | undefined
  /** `AUTH`. */
  readonly auth: 'on' | 'off'
  /** `HOST`. */
  readonly host: string
}

/** Who may call: those with one of these keys, or anybody where there are none. */
export interface Access {
  readonly keys: readonly ApiKey[]
  /** Whether nobody but this machine reaches the service. */
  readonly isLocal: boolean
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** The ends of names that public DNS does not know (RFC 6761, RFC 6762, and ICANN's word on `internal`). */
const PRIVATE_ENDS: ReadonlySet<string> = new Set(['localhost', 'local', 'internal', 'test'])

/** Who may call. Throws SETTING_INVALID where anybody could, and nobody said that they may. */
export function readAccess ({ apiKey, auth, host }: AccessSettings): Access {
  const isLocal = isLoopback(host)
  if (auth === 'off') {
    if (apiKey !== undefined) throw refuse('API_KEY must be left out with AUTH=off, which lets anybody call: remove one of the two')
    return { keys: [], isLocal }
  }
  if (apiKey === undefined && !isLocal) {
    throw refuse(`API_KEY must be set to listen on ${host}: API_KEY=<secret>, or AUTH=off to let anybody call`)
  }
  return { keys: apiKey === undefined ? [] : parseApiKeys(apiKey), isLocal }
}

/** Whether an address to listen on is this machine's own; of names only `localhost`, since any other may lead anywhere. */
export function isLoopback (host: string): boolean {
  const family = isIP(host)
  if (family === 0) return host.toLowerCase() === 'localhost'
  return LOOPBACK.check(host, family === 4 ? 'ipv4' : 'ipv6')
}

/**
 * Whether a `Host` is one that no stranger can make lead here: an address, a name of one word, or one that public DNS does not know. Any other may be
 * that of a web page which has let it lead to this machine, so that the browser takes the service for the page's own.
 */
export function isPrivateName (host: string): boolean {
  const url = `http://${host}`
  const name = URL.canParse(url) ? new URL(url).hostname.replace(/\.$/, '') : ''
  const words = name.split('.')
  return isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0 || (name !== '' && words.length === 1) || PRIVATE_ENDS.has(words.at(-1) ?? '')
}

function refuse (message: string): ServiceError {
  return new ServiceError('SETTING_INVALID', { message })
}
