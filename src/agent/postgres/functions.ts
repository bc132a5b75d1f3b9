import { TASKS } from '@langchain/langgraph-checkpoint'

/**
 * A checkpoint with all that belongs to it, as of one instant. Bytes come in Base64 and as JSON: the driver reads an array of them, as LangGraph's
 * own saver asks for, letter by letter.
 */
export const SELECT_CHECKPOINTS = `SELECT thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata,
    coalesce((
      SELECT json_agg(json_build_array(b.channel, b.type, encode(b.blob, 'base64')))
      FROM jsonb_each_text(cp.checkpoint -> 'channel_versions') AS known
      JOIN holdline.checkpoint_blobs AS b ON b.thread_id = cp.thread_id AND b.checkpoint_ns = cp.checkpoint_ns
        AND b.channel = known.key AND b.version = known.value
      WHERE b.type <> 'empty'
    ), '[]') AS channel_values,
    coalesce((
      SELECT json_agg(json_build_array(w.task_id, w.channel, w.type, encode(w.blob, 'base64')) ORDER BY w.task_path, w.task_id COLLATE "C", w.idx)
      FROM holdline.checkpoint_writes AS w
      WHERE w.thread_id = cp.thread_id AND w.checkpoint_ns = cp.checkpoint_ns AND w.checkpoint_id = cp.checkpoint_id
    ), '[]') AS pending_writes,
    CASE WHEN (checkpoint ->> 'v')::numeric < 4 THEN (
      SELECT json_agg(json_build_array(w.type, encode(w.blob, 'base64')) ORDER BY w.task_path, w.task_id COLLATE "C", w.idx)
      FROM holdline.checkpoint_writes AS w
      WHERE w.thread_id = cp.thread_id AND w.checkpoint_ns = cp.checkpoint_ns AND w.checkpoint_id = cp.parent_checkpoint_id AND w.channel = '${TASKS}'
    ) END AS parent_sends
  FROM holdline.checkpoints AS cp`

/** Runs of subgraphs have the id of a task in their namespace, behind this; a subgraph with a memory of its own has none. */
const TASK_ID_MARK = ':'

const OF_KEPT = (table: string) => `SELECT FROM kept WHERE kept.checkpoint_ns = ${table}.checkpoint_ns`

/**
 * What each turn does to its thread, but for the write itself, as functions: their plans are made once on each connection, which takes longer than
 * what they plan does. That works through a pooler, where prepared statements do not. The plan is one for all values, and goes by the indexes: it may
 * have been made while the tables were empty.
 *
 * - `read_checkpoint` is one statement, and so what it returns is of one instant.
 * - `prune_thread` removes what a thread has that nothing needs any more. In every namespace the newest checkpoint stays, with its writes and its
 *   values; only of a resting thread the namespaces of subgraph runs go. A newest checkpoint that holds changes alone keeps all before it. What is
 *   written at the same time stays, since one statement sees the tables as they were when it began.
 */
export const FUNCTIONS = `
CREATE FUNCTION holdline.read_checkpoint (of_thread text, in_namespace text, with_id text)
RETURNS TABLE (
  thread_id text, checkpoint_ns text, checkpoint_id text, parent_checkpoint_id text, checkpoint jsonb, metadata jsonb,
  channel_values json, pending_writes json, parent_sends json
) LANGUAGE plpgsql STABLE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  IF with_id IS NULL THEN
    RETURN QUERY ${SELECT_CHECKPOINTS} WHERE thread_id = of_thread AND checkpoint_ns = in_namespace ORDER BY holdline_seq DESC LIMIT 1;
  ELSE
    RETURN QUERY ${SELECT_CHECKPOINTS} WHERE thread_id = of_thread AND checkpoint_ns = in_namespace AND checkpoint_id = with_id;
  END IF;
END $$;

CREATE FUNCTION holdline.prune_thread (with_lease uuid, of_thread text, is_resting boolean)
RETURNS void LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  IF with_lease IS NOT NULL THEN PERFORM holdline.check_lease(with_lease); END IF;
  -- what a crash brings back goes after the next turn
  PERFORM set_config('synchronous_commit', 'off', true);
  WITH found AS MATERIALIZED (
      SELECT checkpoint_ns, checkpoint_id, checkpoint, metadata, row_number() OVER (PARTITION BY checkpoint_ns ORDER BY holdline_seq DESC) AS age
      FROM holdline.checkpoints WHERE thread_id = of_thread
    ), incomplete AS (
      SELECT checkpoint_ns FROM found WHERE age = 1
        AND EXISTS (SELECT FROM jsonb_each(metadata -> 'counters_since_delta_snapshot') AS channel WHERE (channel.value ->> 0)::numeric > 0)
    ), kept AS MATERIALIZED (
      SELECT checkpoint_ns, checkpoint_id, checkpoint -> 'channel_versions' AS versions FROM found
      WHERE (age = 1 OR checkpoint_ns IN (SELECT checkpoint_ns FROM incomplete))
        AND NOT (is_resting AND strpos(checkpoint_ns, '${TASK_ID_MARK}') > 0)
    ), pruned_blobs AS (
      DELETE FROM holdline.checkpoint_blobs AS old WHERE thread_id = of_thread AND NOT EXISTS (${OF_KEPT('old')} AND versions ->> channel = version)
    ), pruned_writes AS (
      DELETE FROM holdline.checkpoint_writes AS old WHERE thread_id = of_thread AND NOT EXISTS (${OF_KEPT('old')} AND kept.checkpoint_id = old.checkpoint_id)
    )
    DELETE FROM holdline.checkpoints AS old WHERE thread_id = of_thread AND NOT EXISTS (${OF_KEPT('old')} AND kept.checkpoint_id = old.checkpoint_id);
END $$;
`
