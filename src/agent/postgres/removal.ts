import { hold, holdLease, Statement } from './statement.ts'

/** Removes what a thread has that nothing needs any more; see `FUNCTIONS`. It is not waited for until it is on the disk. */
export function pruneThread (threadId: string, isResting: boolean): Statement {
  return new Statement(note => `SELECT holdline.prune_thread(${holdLease(note)}, ${note(threadId)}, ${note(isResting)})`)
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
