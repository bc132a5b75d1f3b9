import { MultiMap } from './multi-map.ts'
import { ActivityOrder, type Ordered } from './order.ts'
import { Questions } from './questions.ts'
import type { Session } from './session.ts'
import { Tally } from './tally.ts'

/**
 * What the table knows of its sessions beside the sessions themselves: by user, by thread, in the order of their activity, in numbers.
 *
 * *Promise.* Adding, changing and removing cost the same at 100 sessions and at 100 000.
 */
export class SessionIndexes {
  readonly byUser = new MultiMap()
  readonly byThread = new MultiMap()
  readonly byActivity = new ActivityOrder()
  readonly tally = new Tally()
  readonly questions = new Questions()

  add (entry: Ordered): void {
    const { session } = entry
    const { sessionId, userId, threadId } = session
    this.byUser.add(userId, sessionId)
    this.byThread.add(threadId, sessionId)
    this.byActivity.add(entry)
    this.tally.add(session)
    this.questions.change(undefined, session)
  }

  /** The entry gets a newer state of its session. */
  change (entry: Ordered, session: Session): void {
    const { sessionId, userId, threadId } = session
    const before = entry.session
    if (before.userId !== userId) {
      this.byUser.remove(before.userId, sessionId)
      this.byUser.add(userId, sessionId)
    }
    if (before.threadId !== threadId) {
      this.byThread.remove(before.threadId, sessionId)
      this.byThread.add(threadId, sessionId)
    }
    if (before.platform !== session.platform || (before.pendingApproval === null) !== (session.pendingApproval === null)) {
      this.tally.remove(before)
      this.tally.add(session)
    }
    this.questions.change(before, session)
    this.byActivity.remove(entry)
    entry.session = session
    this.byActivity.add(entry)
  }

  remove (entry: Ordered): void {
    const { session } = entry
    this.byUser.remove(session.userId, session.sessionId)
    this.byThread.remove(session.threadId, session.sessionId)
    this.byActivity.remove(entry)
    this.tally.remove(session)
    this.questions.change(session, undefined)
  }
}
