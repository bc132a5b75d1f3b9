import { dirname, join, resolve } from 'node:path'
import { ServiceError } from './errors.ts'

/** Where sessions and conversations are moved from, or to. `name` has no secret in it. */
export type MoveAddress =
  | { readonly kind: 'csv', readonly name: string, readonly path: string, readonly conversationsPath: string }
  | { readonly kind: 'postgres', readonly name: string, readonly url: string }
  | { readonly kind: 'redis', readonly name: string, readonly url: string, readonly databaseUrl: string | undefined }

/** What the settings say of addresses. */
export interface MoveSettings {
  /** SESSIONS_CSV_PATH. */
  readonly path: string
  /** CONVERSATIONS_PATH, if it is set. */
  readonly ownConversationsPath: string | undefined
  readonly databaseUrl: string | undefined
  readonly redisUrl: string | undefined
}

/**
 * Reads where to move from, or to: `csv:<path>`, the URL of a Postgres or a Redis; or `csv`, `postgres`, `redis` for what the settings name.
 *
 * @throws ServiceError SETTING_INVALID, which repeats nothing of a URL: there may be a password in it.
 */
export function parseMoveAddress (text: string, settings: MoveSettings): MoveAddress {
  if (text === 'csv') return describeFile(settings.path, settings)
  if (text.startsWith('csv:') && text.length > 'csv:'.length) return describeFile(text.slice('csv:'.length), settings)
  if (text === 'postgres') return describePostgres(require('DATABASE_URL', settings.databaseUrl))
  if (/^postgres(?:ql)?:\/\//.test(text)) return describePostgres(text)
  if (text === 'redis') return describeRedis(require('REDIS_URL', settings.redisUrl), settings)
  if (/^rediss?:\/\//.test(text)) return describeRedis(text, settings)
  throw new ServiceError('SETTING_INVALID', { message: 'An address is csv:<path>, postgres://… or redis://…; or csv, postgres or redis, for what the settings name' })
}

/** The address of a server, without names, passwords and parameters. */
export function nameServer (url: string): string {
  const { protocol, host, pathname } = parseUrl(url)
  return `${protocol.replace('postgresql:', 'postgres:')}//${host}${pathname}`
}

function describeFile (path: string, { ownConversationsPath }: MoveSettings): MoveAddress {
  const conversationsPath = ownConversationsPath ?? join(dirname(path), 'conversations.sqlite')
  return { kind: 'csv', name: `csv:${resolve(path)}`, path, conversationsPath }
}

function describePostgres (url: string): MoveAddress {
  return { kind: 'postgres', name: nameServer(url), url }
}

function describeRedis (url: string, { databaseUrl }: MoveSettings): MoveAddress {
  return { kind: 'redis', name: nameServer(url), url, databaseUrl }
}

function require (setting: string, value: string | undefined): string {
  if (value === undefined) throw new ServiceError('SETTING_INVALID', { message: `${setting} is not set` })
  return value
}

function parseUrl (url: string): URL {
  if (!URL.canParse(url)) throw new ServiceError('SETTING_INVALID', { message: 'An address cannot be read as a URL: in a name or a password, write %25 for %' })
  return new URL(url)
}
