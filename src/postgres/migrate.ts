import { setTimeout as wait } from 'node:timers/promises'
import { Kysely, Migrator, PostgresAdapter, PostgresDialect, sql, type Migration } from 'kysely'
import pg from 'pg'
import { isCoded, ServiceError } from '../errors.ts'
import { explainPostgresError, isConnectionLost } from './errors.ts'
import { MIGRATIONS } from './migrations/all.ts'
import type { PostgresPool } from './pool.ts'

const SCHEMA = 'holdline'
const TABLE = 'migrations'

/** The advisory lock under which the schema changes; any number that nobody else takes. */
const LOCK = '7014830114250912'

/** Others that start at the same time may have a large table to change. */
const MAX_WAIT_MS = 10 * 60_000

/**
 * One who holds the lock for a minute without doing anything has been paused, or cut off. A table that is in use is waited for, but not for long:
 * whoever wants to use it meanwhile waits behind.
 */
const BEGIN = `BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '1min'; SET LOCAL lock_timeout = '30s';
  SELECT pg_try_advisory_xact_lock(${LOCK}) AS is_mine`

/** A migration brings its own transaction, whose end gives the lock back; the library's lock belongs to a session, which a pooler gives to others. */
class TransactionAdapter extends PostgresAdapter {
  override async acquireMigrationLock (): Promise<void> {}
  override async releaseMigrationLock (): Promise<void> {}
}

class TransactionDialect extends PostgresDialect {
  override createAdapter (): PostgresAdapter {
    return new TransactionAdapter()
  }
}

/**
 * Brings the schema up to what this version needs: all of it, or nothing. Any number of processes may do so at the same time.
 *
 * @throws ServiceError SETTING_INVALID for a database that a newer version brought up, that cannot keep every text, or that isolates transactions
 * otherwise; STORE_UNREACHABLE if it fails.
 */
export async function migrate (pool: PostgresPool, migrations: ReadonlyMap<string, string> = MIGRATIONS): Promise<void> {
  if (await explainFailure(async () => await isUpToDate(async text => await pool.query(text), migrations))) return
  await withMigrationLock(pool, async client => {
    if (!await isUpToDate(async text => (await client.query(text)).rows, migrations)) await runMigrations(client, migrations)
  })
}

/**
 * Runs something that changes the schema while nobody else does, in a transaction on a connection of its own, without a limit of time. Those who wait
 * for their turn hold no transaction open meanwhile.
 *
 * @throws ServiceError STORE_UNREACHABLE if it fails, saying why.
 */
export async function withMigrationLock<T> (pool: PostgresPool, run: (client: pg.Client) => Promise<T>): Promise<T> {
  return await explainFailure(async () => await changeUnderLock(pool, run))
}

async function explainFailure<T> (run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    if (cause instanceof ServiceError) throw cause
    const nextStep = isCoded(cause, '42501') ? `; it needs CREATE on the database, or a schema of its own there: CREATE SCHEMA ${SCHEMA} AUTHORIZATION <user>` : ''
    const message = `The tables in the database that DATABASE_URL names cannot be brought up: ${explainPostgresError(cause)}${nextStep}`
    throw new ServiceError('STORE_UNREACHABLE', { message, cause })
  }
}

async function changeUnderLock<T> (pool: PostgresPool, run: (client: pg.Client) => Promise<T>): Promise<T> {
  const { connectionString = '', application_name: name = '', connectionTimeoutMillis = 0 } = pool.pool.options
  // There is no limit of time for an answer: only this tells a server that is busy from one that is cut off.
  const client = new pg.Client({
    connectionString, application_name: name, connectionTimeoutMillis, keepAlive: true, keepAliveInitialDelayMillis: 10_000
  })
  // What breaks is heard by whoever waits for an answer.
  client.on('error', () => {})
  await client.connect()
  try {
    await takeLock(client)
    const result = await run(client)
    await client.query('COMMIT')
    return result
  } catch (error) {
    // A pooler would take a connection that is given up in the middle of a transaction out of use.
    if (!isConnectionLost(error)) await client.query('ROLLBACK')
    throw error
  } finally {
    await client.end()
  }
}

async function takeLock (client: pg.Client): Promise<void> {
  const untilMs = performance.now() + MAX_WAIT_MS
  for (;;) {
    if (await tryLock(client)) return
    await client.query('ROLLBACK')
    if (performance.now() > untilMs) throw new ServiceError('STORE_UNREACHABLE', { message: 'Another process changes the tables of Postgres, and does not end' })
    // Many may wait: not all at once.
    await wait(50 + 100 * Math.random())
  }
}

async function tryLock (client: pg.Client): Promise<boolean> {
  // One result for each of the statements: the last one tells.
  const results: unknown = await client.query(BEGIN)
  const last: unknown = Array.isArray(results) ? results.at(-1) : undefined
  return last instanceof pg.Result && last.rows[0]?.is_mine === true
}

type Query = (text: string) => Promise<Array<Record<string, unknown>>>

async function isUpToDate (query: Query, migrations: ReadonlyMap<string, string>): Promise<boolean> {
  const [database] = await query(`SELECT getdatabaseencoding() AS encoding, current_setting('default_transaction_isolation') AS isolation,
    to_regclass('${SCHEMA}.${TABLE}') IS NOT NULL AS has_table`)
  if (database?.encoding !== 'UTF8') {
    throw new ServiceError('SETTING_INVALID', { message: `DATABASE_URL must name a database in UTF8, received one in ${String(database?.encoding)}` })
  }
  if (database.isolation !== 'read committed') {
    const message = `DATABASE_URL must name a database whose default_transaction_isolation is read committed, received ${String(database.isolation)}`
    throw new ServiceError('SETTING_INVALID', { message })
  }
  if (database.has_table !== true) return false
  const applied = (await query(`SELECT name FROM ${SCHEMA}.${TABLE} ORDER BY name`)).map(({ name }) => String(name))
  const unknown = applied.find(name => !migrations.has(name))
  if (unknown !== undefined) {
    const message = `DATABASE_URL names a database that a newer version of Holdline has changed ("${unknown}" is not known here): start that version`
    throw new ServiceError('SETTING_INVALID', { message })
  }
  return applied.length === migrations.size
}

async function runMigrations (client: pg.Client, migrations: ReadonlyMap<string, string>): Promise<void> {
  const { rows: [schema] } = await client.query(`SELECT 1 FROM pg_namespace WHERE nspname = '${SCHEMA}'`)
  // The library would go on after a refusal, in a transaction that has failed, and report that. IF NOT EXISTS asks for the right all the same.
  if (schema === undefined) await client.query(`CREATE SCHEMA ${SCHEMA}`)
  // The library takes connections out of a pool: this one has just the one.
  const lent = { query: client.query.bind(client), release: () => {} }
  // After a failure it looks around once more in the transaction, and reports what that says: that something has failed before.
  let failure: unknown
  const db = new Kysely<unknown>({
    dialect: new TransactionDialect({ pool: { connect: async () => lent, end: async () => {} } }),
    log: event => { if (event.level === 'error') failure ??= event.error }
  })
  const steps: Record<string, Migration> = {}
  for (const [name, text] of migrations) steps[name] = { up: async db => { await sql.raw(text).execute(db) } }
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => steps },
    migrationTableSchema: SCHEMA,
    migrationTableName: TABLE,
    migrationLockTableName: `${TABLE}_lock`,
    disableTransactions: true
  })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw failure ?? error
}
