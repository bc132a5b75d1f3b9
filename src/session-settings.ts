import { KindGuard, Type, type TObject } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { Config, formatRefusal, resolveConversationsPath, selectSettings, type Environment } from './config.ts'
import { ServiceError } from './errors.ts'

/** Where a service that runs with these settings keeps its sessions and conversations, and how. */
export interface SessionSettings {
  readonly path: string
  readonly conversationsPath: string
  readonly fsync: 'always' | 'never'
  readonly timeoutMs: number
  /** `RUN_AS`; see `leaveRoot`. */
  readonly runAs: string | undefined
  readonly store: Config['SESSION_STORE']
  /** `CONVERSATIONS_PATH`, if it is set. */
  readonly ownConversationsPath: string | undefined
  readonly databaseUrl: string | undefined
  readonly redisUrl: string | undefined
}

const MINUTE_MS = 60_000

/**
 * Of all settings, those that say where sessions and conversations are: a wrong one of another kind must not keep an operator from looking at them.
 */
const Settings = Type.Pick(Config, [
  'SESSION_STORE', 'DATABASE_URL', 'REDIS_URL', 'SESSIONS_CSV_PATH', 'SESSIONS_FSYNC', 'SESSION_TIMEOUT_MINUTES', 'CONVERSATIONS_PATH', 'RUN_AS'
])

/**
 * Reads the settings that say where the sessions are, as the service reads them.
 *
 * @throws ServiceError SETTING_INVALID with one line on those that are wrong.
 */
export function readSessionSettings (env: Environment): SessionSettings {
  const values = Value.Default(Settings, coerce(selectSettings(env), Settings))
  if (!Value.Check(Settings, values)) {
    const names = new Set([...Value.Errors(Settings, values)].map(({ path }) => path.slice(1)))
    throw new ServiceError('SETTING_INVALID', { message: [...names].map((name) => formatRefusal(name, env[name])).join('; ') })
  }
  return {
    path: values.SESSIONS_CSV_PATH,
    conversationsPath: resolveConversationsPath(values),
    fsync: values.SESSIONS_FSYNC,
    // As the service rounds it: a fraction of a minute may be no whole number of milliseconds.
    timeoutMs: Math.max(1, Math.round(values.SESSION_TIMEOUT_MINUTES * MINUTE_MS)),
    runAs: values.RUN_AS,
    store: values.SESSION_STORE,
    ownConversationsPath: values.CONVERSATIONS_PATH,
    databaseUrl: values.DATABASE_URL,
    redisUrl: values.REDIS_URL
  }
}

/** The settings of a schema, with the numbers among them as numbers. */
function coerce (texts: Readonly<Record<string, string>>, { properties }: TObject): Record<string, string | number> {
  const known = Object.entries(texts).filter(([name]) => Object.hasOwn(properties, name))
  return Object.fromEntries(known.map(([name, text]) => {
    const schema = properties[name]
    return [name, schema !== undefined && KindGuard.IsNumber(schema) ? Number(text) : text]
  }))
}
