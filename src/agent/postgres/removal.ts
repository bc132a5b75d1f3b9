import { hold, Statement } from './statement.ts'

/** Runs of subgraphs have the id of a task in their namespace, behind this; a subgraph with a memory of its own has none. */
const TASK_ID_MARK = ':'

const OF_KEPT = (table: string) => `SELECT FROM kept WHERE kept.checkpoint_ns = ${table}.checkpoint_ns`

/**
 * Removes what a thread has that nothing needs any more.
 *
 * In every namespace the newest checkpoint stays, with its writes and its values; only of a resting thread the namespaces of subgraph runs go. A
 * newest checkpoint that holds changes alone keeps all before it. What is written at the same time stays, since one statement sees the tables as
 * they were when it began.
 *
 * It is not waited for until it is on the disk: what a crash brings back goes after the next turn.
 */
export function pruneThread (threadId: string, isResting: boolean): Statement {
  return new Statement(note => {
    const [held, thread, resting] = [hold(note), note(threadId), note(isResting)]
    return `${held}, unhurried AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) FROM held), found AS MATERIALIZED (
        SELECT checkpoint_ns, checkpoint_id, checkpoint, metadata, row_number() OVER (PARTITION BY checkpoint_ns ORDER BY holdline_seq DESC) AS age
        FROM unhurried, holdline.checkpoints WHERE thread_id = ${thread}
      ), incomplete AS (
        SELECT checkpoint_ns FROM found WHERE age = 1
          AND EXISTS (SELECT FROM jsonb_each(metadata -> 'counters_since_delta_snapshot') AS channel WHERE (channel.value ->> 0)::numeric > 0)
      ), kept AS MATERIALIZED (
        SELECT checkpoint_ns, checkpoint_id, checkpoint -> 'channel_versions' AS versions FROM found
        WHERE (age = 1 OR checkpoint_ns IN (SELECT checkpoint_ns FROM incomplete))
          AND NOT (${resting}::boolean AND strpos(checkpoint_ns, '${TASK_ID_MARK}') > 0)
      ), pruned_blobs AS (
        DELETE FROM holdline.checkpoint_blobs AS old WHERE thread_id = ${thread} AND NOT EXISTS (${OF_KEPT('old')} AND versions ->> channel = version)
      ), pruned_writes AS (
        DELETE FROM holdline.checkpoint_writes AS old WHERE thread_id = ${thread} AND NOT EXISTS (${OF_KEPT('old')} AND kept.checkpoint_id = old.checkpoint_id)
      )
      DELETE FROM holdline.checkpoints AS old WHERE thread_id = ${thread} AND NOT EXISTS (${OF_KEPT('old')} AND kept.checkpoint_id = old.checkpoint_id)`
  })
}

/** Removes a thread, whatever state it is in. */
export function deleteThread (threadId: string): Statement {
  return new Statement(note => {
    const [held, thread] = [hold(note), note(threadId)]
    return `${held}, deleted_blobs AS (DELETE FROM holdline.checkpoint_blobs WHERE thread_id = ${thread}),
      deleted_writes AS (DELETE FROM holdline.checkpoint_writes WHERE thread_id = ${thread}),
      deleted AS (DELETE FROM holdline.checkpoints WHERE thread_id = ${thread})
      SELECT FROM held`
  })
}
