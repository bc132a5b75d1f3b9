import { Redis } from 'ioredis'
import pg from 'pg'
import { readCpuMs, readParent } from './cpu.ts'

/** What a store's server has used. */
export interface Usage {
  /** Time on the processor, of all its processes; undefined where it cannot be told. */
  readonly cpuMs: number | undefined
  /** What it keeps. */
  readonly bytes: number
}

/** Looks at the server of a store, for what it uses. */
export type Gauge = () => Promise<Usage>

/** The whole of a Postgres server, and the database of this address. */
export function gaugePostgres (url: string): Gauge {
  return async () => {
    const client = new pg.Client(url)
    await client.connect()
    try {
      const { rows: [row] } = await client.query<{ pid: number, bytes: string }>('SELECT pg_backend_pid() AS pid, pg_database_size(current_database()) AS bytes')
      if (row === undefined) throw new TypeError('A select without a table has one row')
      return { cpuMs: process.platform === 'linux' ? readCpuMs(readParent(row.pid)) : undefined, bytes: Number(row.bytes) }
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
      return { cpuMs: readCpuMs(read('process_id')), bytes: read('used_memory') }
    } finally {
      client.disconnect()
    }
  }
}
