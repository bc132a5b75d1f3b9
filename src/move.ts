import type { Conversations } from './agent/conversations.ts'
import type { MovedClock } from './agent/move/clock.ts'
import { copyConversations, sumConversations } from './agent/move/conversations.ts'
import { isSameSum } from './checksum.ts'
import { checkConversations, checkSessions } from './move-fitness.ts'
import type { MovePlace } from './move-place.ts'
import { isSameConversations, listNotes, type MovedConversations, type MovedSessions, type MoveReport } from './move-report.ts'
import { Steps, type Tell } from './move-steps.ts'
import type { SessionPlace } from './sessions/move/place.ts'
import { copySessions, sumSessions, type SessionSums } from './sessions/move/sessions.ts'

/** What is moved whereto. */
export interface MoveOptions {
  readonly source: MovePlace
  readonly target: MovePlace
  /** The clock that `target` was opened with. */
  readonly clock: MovedClock
  readonly tell: Tell
}

/**
 * Moves sessions and conversations from one place to another one.
 *
 * *Promise.*
 * 1. The source is only read, and stays whole.
 * 2. Until all is in the target and was found there, the target holds a mark with which no service starts on it.
 * 3. It may be killed at any moment: run again, it goes on. What is there and equal is skipped; what has changed in the source since, or has gone, is
 *    put right.
 * 4. A target that holds anything else is refused, and left as it is.
 * 5. In the end both are summed up by what was read in them: a difference is told, and the mark stays.
 *
 * *Not promised.* That a service which writes to the source meanwhile is always noticed.
 *
 * @throws ServiceError SETTING_INVALID for a target that is not fit; else of what failed.
 */
export async function moveAll (options: MoveOptions): Promise<MoveReport> {
  const { source, target, tell } = options
  const sums = await sumSource(source.sessions, target.sessions, tell)
  const isResumed = await checkSessions(source, target)
  const conversations = await withConversations(source, target, async (from, to) => {
    if (!isResumed) await checkConversations(from, to, target.name)
    await target.sessions.mark(source.name)
    return { from: source.conversationsName, to: target.conversationsName, ...await moveConversations(from, to, options) }
  })
  await target.sessions.mark(source.name)
  const sessions = await moveSessions(source.sessions, target.sessions, sums, tell)
  const isVerified = isSameSum(sessions.source, sessions.target) && (conversations === undefined || isSameConversations(conversations))
  if (isVerified) await target.sessions.unmark()
  const report = { from: source.name, to: target.name, isDryRun: false, isResumed, sessions, conversations, isVerified }
  return { ...report, notes: [...source.notes, ...target.notes, ...listNotes(report, source, target)] }
}

/** Reads all sessions of the source, and refuses those that the target could not keep. */
export async function sumSource (source: SessionPlace, target: Pick<SessionPlace, 'check'>, tell: Tell): Promise<SessionSums> {
  const steps = new Steps('Reading sessions', tell)
  return await sumSessions(source, count => { steps.add(count) }, record => { target.check(record) })
}

/** Does something with the conversations, if there are any, and they are not where they go already. */
async function withConversations<T> (
  source: MovePlace, target: MovePlace, run: (from: Conversations, to: Conversations) => Promise<T>
): Promise<T | undefined> {
  if (source.conversationsName === target.conversationsName) return undefined
  const from = await source.openConversations()
  if (from === undefined) return undefined
  try {
    const to = await target.openConversations()
    if (to === undefined) throw new TypeError('A target has a place for conversations')
    try {
      return await run(from, to)
    } finally {
      await to.close()
    }
  } finally {
    await from.close()
  }
}

async function moveConversations (
  from: Conversations, to: Conversations, { clock, tell }: MoveOptions
): Promise<Omit<MovedConversations, 'from' | 'to'>> {
  const moving = new Steps('Moving conversations', tell)
  const { skipped, ...source } = await copyConversations(from, to, clock, () => { moving.add(1) })
  const checking = new Steps('Checking conversations', tell, moving.done)
  return { source, skipped, target: await sumConversations(to, () => { checking.add(1) }) }
}

async function moveSessions (
  source: SessionPlace, target: SessionPlace, sums: SessionSums, tell: Tell
): Promise<MovedSessions & Required<Pick<MovedSessions, 'target'>>> {
  const moving = new Steps('Moving sessions', tell, sums.sum.count)
  const skipped = await copySessions(source, target, sums, count => { moving.add(count) })
  const checking = new Steps('Checking sessions', tell, sums.sum.count)
  return { source: sums.sum, skipped, target: (await sumSessions(target, count => { checking.add(count) })).sum }
}
