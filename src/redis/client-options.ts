import { isIP } from 'node:net'
import type { RedisOptions } from 'ioredis'
import { ServiceError } from '../errors.ts'

/** What ioredis connects with. */
export type RedisAddress = Pick<RedisOptions, 'host' | 'port' | 'db' | 'username' | 'password' | 'tls'>

const DEFAULT_PORT = 6379

/** Between two attempts to connect. */
const MAX_RETRY_MS = 1000

/**
 * Reads REDIS_URL: `redis://[[name]:password@]host[:port][/database]`, with `rediss:` for TLS. The certificate is checked; an authority of one's
 * own is named by Node's NODE_EXTRA_CA_CERTS. What stands behind a `?` does not count.
 *
 * @throws ServiceError SETTING_INVALID.
 */
export function parseRedisUrl (text: string): RedisAddress {
  if (!URL.canParse(text)) throw refuse('is no URL')
  const url = new URL(text)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (host === '') throw refuse('names no host')
  const database = url.pathname.replace(/^\//, '')
  if (!/^\d{0,4}$/.test(database)) throw refuse('must end with the number of a database, as in /0, or with none')
  const username = decode(url.username)
  const password = decode(url.password)
  return {
    host,
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    db: Number(database),
    ...(username !== '' && { username }),
    ...(password !== '' && { password }),
    // Servers that many share tell by the name whose is meant.
    ...(url.protocol === 'rediss:' && { tls: isIP(host) === 0 ? { servername: host } : {} })
  }
}

/**
 * How the client behaves: what it cannot send now it refuses, and what it has sent it never sends again. What waits in a queue of the client's
 * would be sent when its caller has long been told that it failed; what is sent again may have been carried out before.
 */
export function describeClient (url: string, commandTimeoutMs: number) {
  return {
    ...parseRedisUrl(url),
    lazyConnect: true,
    protocol: 2 as const,
    connectionName: 'holdline',
    disableClientInfo: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: commandTimeoutMs,
    connectTimeout: commandTimeoutMs,
    // Ends a connection whose other end went without a word.
    socketTimeout: commandTimeoutMs + 1000,
    retryStrategy: (attempt: number) => Math.min(25 * 2 ** Math.min(attempt, 10), MAX_RETRY_MS) * (0.5 + Math.random() / 2),
    // Behind an address that does not change, another server may have become the primary.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY')
  }
}

function decode (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw refuse('has a % in its name or password that encodes nothing: write %25 for a percent sign', cause)
  }
}

function refuse (why: string, cause?: unknown): ServiceError {
  return new ServiceError('SETTING_INVALID', { message: `REDIS_URL ${why}`, cause })
}
