import type { Tracer } from '@opentelemetry/api'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { ServiceError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { PostgresPool } from '../../postgres/pool.ts'
import type { AgentStatus, ThreadActivity } from '../agent.ts'
import type { PruneOptions } from '../checkpoints/saver.ts'
import type { Conversations } from '../conversations.ts'
import type { WritePlaces } from '../placed-writes.ts'
import { PostgresNotes } from './notes.ts'
import { PostgresWrites } from './placed-writes.ts'
import { PostgresThreadSaver } from './saver.ts'
import { makeTables } from './schema.ts'
import { ConversationTables } from './tables.ts'

/** How conversations are kept in Postgres. */
export interface PostgresConversationsOptions {
  /** Whose migrations have run. It is not closed along with the conversations. */
  readonly pool: PostgresPool
  readonly now: () => number
  readonly log: Log
  /** Makes a span of each write; none without it. */
  readonly tracer?: Tracer | undefined
}

const ThreadRow = Type.Object({ thread_id: Type.String(), written_ms: Type.Number() })

/** From thread to thread by the index: it costs what is returned; GROUP BY would read every checkpoint there is. */
const LIST_THREADS = `WITH RECURSIVE threads AS (
    (SELECT thread_id FROM holdline.checkpoints WHERE thread_id > $1 ORDER BY thread_id LIMIT 1)
    UNION ALL
    SELECT (SELECT c.thread_id FROM holdline.checkpoints c WHERE c.thread_id > t.thread_id ORDER BY c.thread_id LIMIT 1)
    FROM threads t WHERE t.thread_id IS NOT NULL
  )
  SELECT thread_id, (SELECT (extract(epoch FROM max(c.written_at)) * 1000)::float8 FROM holdline.checkpoints c WHERE c.thread_id = t.thread_id) AS written_ms
  FROM (SELECT thread_id FROM threads WHERE thread_id IS NOT NULL LIMIT $2) AS t`

/** Opens the conversations in Postgres, and makes the tables that are not there. Throws STORE_UNREACHABLE. */
export async function openPostgresConversations ({ pool, now, log, tracer }: PostgresConversationsOptions): Promise<Conversations> {
  await makeTables(pool)
  const tables = new ConversationTables(pool)
  const checkpointer = new PostgresThreadSaver({ tables, now, tracer })
  return new PostgresConversations(pool, tables, checkpointer, new PostgresNotes(tables, now), log)
}

/** Conversations in Postgres, which any number of replicas write, each thread by the one whose lease it is. */
class PostgresConversations implements Conversations {
  readonly isShared = true
  /** Nobody puts other conversations in place under us. */
  readonly epoch = 0
  readonly checkpointer: PostgresThreadSaver
  readonly notes: PostgresNotes
  readonly writes: WritePlaces
  readonly #pool: PostgresPool
  readonly #tables: ConversationTables
  readonly #log: Log

  constructor (pool: PostgresPool, tables: ConversationTables, checkpointer: PostgresThreadSaver, notes: PostgresNotes, log: Log) {
    this.#pool = pool
    this.#tables = tables
    this.checkpointer = checkpointer
    this.notes = notes
    this.writes = new PostgresWrites(checkpointer.serde, tables)
    this.#log = log
  }

  status (): AgentStatus {
    return this.#pool.status()
  }

  async deleteThread (threadId: string): Promise<void> {
    await this.checkpointer.deleteThread(threadId)
  }

  async prune (threadId: string, options: PruneOptions): Promise<void> {
    try {
      await this.checkpointer.prune(threadId, options)
    } catch (error) {
      // Postgres being away, or the lease lost, is told elsewhere; what is superfluous goes after the next turn.
      if (error instanceof ServiceError) return
      this.#log.error({ err: error, thread_id: threadId }, 'A conversation keeps what it needs no more: it could not be removed, and grows')
    }
  }

  async listThreads (afterThreadId: string, limit: number): Promise<ThreadActivity[]> {
    const rows = await this.#tables.send({ text: LIST_THREADS, values: [afterThreadId, limit] })
    return rows.map(row => {
      const { thread_id: threadId, written_ms: lastWriteMs } = Value.Parse(ThreadRow, row)
      return { threadId, lastWriteMs }
    })
  }

  async close (): Promise<void> {}
}
