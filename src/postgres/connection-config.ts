import pg from 'pg'
import { ServiceError } from '../errors.ts'

/** How long the server works, and is waited for, in milliseconds. */
export interface PostgresTimeouts {
  readonly connectMs: number
  readonly statementMs: number
  /** For a lock that another transaction holds. */
  readonly lockMs: number
  /** How long a transaction may do nothing: a replica that is paused in the middle of one keeps its locks for no longer. */
  readonly idleInTransactionMs: number
}

export const TIMEOUTS: PostgresTimeouts = { connectMs: 5000, statementMs: 10_000, lockMs: 8000, idleInTransactionMs: 5000 }

/** Beyond the server's own limit, so that what it says of it is heard. */
const ANSWER_MARGIN_MS = 2000

/**
 * How the driver connects.
 *
 * @throws ServiceError SETTING_INVALID if the address cannot be used, naming DATABASE_URL.
 */
export function makePoolConfig (url: string, max: number, timeouts: PostgresTimeouts): pg.PoolConfig {
  const config: pg.PoolConfig = {
    connectionString: readAsLibpq(url),
    max,
    application_name: 'holdline',
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: timeouts.connectMs,
    idleTimeoutMillis: 60_000,
    query_timeout: timeouts.statementMs + ANSWER_MARGIN_MS,
    statement_timeout: timeouts.statementMs,
    lock_timeout: timeouts.lockMs,
    idle_in_transaction_session_timeout: timeouts.idleInTransactionMs
  }
  tryConfig(config)
  return config
}

/** Takes out what a pooler refuses to pass on. */
export function dropTimeouts (config: pg.PoolConfig): void {
  delete config.statement_timeout
  delete config.lock_timeout
  delete config.idle_in_transaction_session_timeout
}

/** What a transaction begins with where a connection knows no limits. */
export function formatLimitedBegin ({ statementMs, lockMs, idleInTransactionMs }: PostgresTimeouts): string {
  const limits = { statement_timeout: statementMs, lock_timeout: lockMs, idle_in_transaction_session_timeout: idleInTransactionMs }
  return ['BEGIN', ...Object.entries(limits).map(([name, ms]) => `SET LOCAL ${name} = ${ms}`)].join('; ')
}

/**
 * The modes of `sslmode` mean to the driver what they mean to Postgres' own tools only if it is asked for that: to it, `require` is `verify-full`
 * otherwise, and it says on stderr that this is to change. `no-verify` is a mode of its own.
 */
function readAsLibpq (url: string): string {
  const query = new URLSearchParams(url.split('?')[1] ?? '')
  const mode = query.get('sslmode')
  if (mode === null || mode === 'no-verify' || query.has('uselibpqcompat')) return url
  return `${url}&uselibpqcompat=true`
}

function tryConfig (config: pg.PoolConfig): void {
  try {
    // Connects nowhere: it reads the address, and the files that it names.
    const client = new pg.Client(config)
    client.removeAllListeners()
  } catch (cause) {
    // What the driver says may repeat the address.
    const isMissing = cause instanceof Error && 'syscall' in cause
    const reason = isMissing ? 'a file that its sslrootcert, sslcert or sslkey names cannot be read' : 'it cannot be read as an address of Postgres; sslmode=verify-ca needs sslrootcert'
    throw new ServiceError('SETTING_INVALID', { message: `DATABASE_URL cannot be used: ${reason}`, cause })
  }
}
