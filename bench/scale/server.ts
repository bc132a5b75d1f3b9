import { Redis } from 'ioredis'
import pg from 'pg'
import { readCpuMs, readParent } from './cpu.ts'

/** What a store's server has used. */
export interface Usage {
  /** Time on the processor, of all its processes; undefined where it cannot be told. */
  readonly cpuMs: number | undefined
  /** What it keeps. */
  readonly bytes: number
  /** What it has written ahead: to the WAL, or to the append-only file. */
  readonly logBytes: number
}

/** Looks at the server of a store, for what it uses. */
export type Gauge = () => Promise<Usage>

/** The whole of a Postgres server, and the database of this address. */
export function gaugePostgres (url: string): Gauge {
  return async () => {
    const client = new pg.Client(url)
    await client.connect()
    try {
      const { rows: [row] } = await client.query<{ pid: number, bytes: string, log: string }>(`SELECT pg_backend_pid() AS pid,
        pg_database_size(current_database()) AS bytes, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS log`)
      if (row === undefined) throw new TypeError('A select without a table has one row')
      const cpuMs = process.platform === 'linux' ? readCpuMs(readParent(row.pid)) : undefined
      return { cpuMs, bytes: Number(row.bytes), logBytes: Number(row.log) }
    } finally {
      await client.end()
    }
  }
}

/** The whole of a Redis server. */
export function gaugeRedis (url: string): Gauge {
  return async () => {
    const client = new Redis(url)
    try {
      const info = await client.info('everything')
      const read = (name: string): number => Number(new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1])
      return { cpuMs: readCpuMs(read('process_id')), bytes: read('used_memory'), logBytes: read('aof_current_size') }
    } finally {
      client.disconnect()
    }
  }
}
