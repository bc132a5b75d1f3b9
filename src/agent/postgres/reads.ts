import type { Pool } from 'pg'
import type { ConversationTables } from './tables.ts'

/** How LangGraph's saver orders checkpoints, the writes of their tasks, and how it asks for a certain one. */
const BY_ID = 'ORDER BY checkpoint_id DESC'
const BY_TASK = 'order by cw.task_id, cw.idx'
const OF_ONE = /\bcheckpoint_id = (?:\$\d|any\(\$\d\))/

/**
 * A read of LangGraph's saver, in the order in which things were written.
 *
 * Its own order of checkpoints is that of their ids, which begin with the time of whoever wrote them: of two machines, the one whose clock is
 * ahead would go on being taken for the last. Its own order of writes lacks the path of the task, in which LangGraph applies them.
 *
 * @throws TypeError for a text in which nothing is found to be put in order: a newer version of the library reads in another way.
 */
export function orderAsWritten (text: string): string {
  const isKnown = text.includes(BY_TASK) && (text.includes(BY_ID) || OF_ONE.test(text))
  if (!isKnown) throw new TypeError('LangGraph\'s saver for Postgres reads in another way than the one that is known: Holdline needs its version 1.0.5')
  return text.replaceAll(BY_ID, 'ORDER BY holdline_seq DESC').replaceAll(BY_TASK, 'order by cw.task_path, cw.task_id collate "C", cw.idx')
}

/** The pool as LangGraph's saver gets it: for reads, put in order. Writes are our own; it gets no connection for others. */
export function lendForReading (pool: Pool, tables: ConversationTables): Pool {
  const query = async (text: string, values: unknown[]) => ({ rows: await tables.send({ text: orderAsWritten(text), values }) })
  const connect = async () => { throw new TypeError('LangGraph\'s saver for Postgres is not to write by itself: no lease would be checked') }
  return lend(pool, { query, connect })
}

/** A pool of which the library sees these methods instead of its own. */
export function lend (pool: Pool, methods: Readonly<Record<string, unknown>>): Pool {
  return new Proxy(pool, { get: (target, key) => typeof key === 'string' && key in methods ? methods[key] : Reflect.get(target, key, target) })
}
