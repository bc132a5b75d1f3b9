import type { Agent, AgentEvent, Message } from './agent/agent.ts'
import { ServiceError } from './errors.ts'
import { addKeyRecord, checkBody, findKeyRecord, makeKeyRecord, type KeyRecord } from './key-record.ts'
import { isMessageOf, makeMessageId, type MessageKey } from './message-key.ts'
import { readPendingApproval } from './pending-approval.ts'
import type { JsonObject, Session } from './sessions/session.ts'

/** What is known of a message that may have been taken before. */
export interface Recollection {
  /** What it came to; undefined if it was not taken, or if its turn did not end. */
  readonly event?: AgentEvent | undefined
  /** The id that it is to have in the thread. */
  readonly messageId?: string
  /** Whether an id in the thread is that of this message, which an earlier process gave another one. */
  readonly isRepeatOf?: (messageId: string) => boolean
}

/**
 * A message with a key, or a decision with one, in the eyes of what outlives the process; without a key, everything here does nothing.
 *
 * *Promise.* What another process, or an earlier one, took is found: in the thread, where a message's id tells its key, or in the session, which
 * keeps a record of what does not go into the thread by itself (a decision, a text that a question was repeated to). A key that comes with another
 * body than the record's is found out.
 *
 * *Not promised.* The same of a message that is in the thread: there, the text alone is compared.
 */
export class KeyedMessage {
  readonly #agent: Agent
  readonly #now: () => number
  readonly #key: MessageKey | undefined
  readonly #stop: AbortSignal
  #record: KeyRecord | undefined

  constructor ({ agent, now }: { readonly agent: Agent, readonly now: () => number }, key: MessageKey | undefined, stop: AbortSignal) {
    this.#agent = agent
    this.#now = now
    this.#key = key
    this.#stop = stop
  }

  /** What this message came to; `text` is undefined for a decision that is no chat message. Throws IDEMPOTENCY_KEY_REUSED. */
  async recall (session: Session, text: string | undefined): Promise<Recollection> {
    const key = this.#key
    if (key === undefined) return {}
    const { threadId } = session
    const nowMs = this.#now()
    const messageId = makeMessageId(key, nowMs)
    const isRepeatOf = (id: string): boolean => isMessageOf(key, id, nowMs)
    const history = await this.#agent.history(threadId, this.#stop)
    const claim = readClaim(session)
    if (claim?.key === key.hash) checkBody(claim, key)
    const record = claim?.key === key.hash ? readAnsweredClaim(claim, history) : findKeyRecord(session.metadata, key, nowMs)
    if (record?.message_id !== undefined) return { messageId, event: await this.#agent.findReply(threadId, record.message_id, this.#stop) }
    const taken = text === undefined ? undefined : history.findLast(({ id }) => isRepeatOf(id))
    if (taken === undefined) return { messageId, isRepeatOf }
    if (taken.content !== text) throw new ServiceError('IDEMPOTENCY_KEY_REUSED')
    return { messageId: taken.id, event: await this.#agent.findReply(threadId, taken.id, this.#stop) }
  }

  /** Whether a decision with this key has been claimed, and the session does not say what came of it. */
  isClaimOf (session: Session): boolean {
    return this.#key !== undefined && readClaim(session)?.key === this.#key.hash
  }

  /** Makes the record that this is taken now, in the turn of the message that the thread ends with; `note` keeps it. */
  async record (session: Session): Promise<KeyRecord | undefined> {
    if (this.#key === undefined) return undefined
    const asked = (await this.#agent.history(session.threadId, this.#stop)).findLast(({ role }) => role === 'user')
    this.#record = makeKeyRecord(this.#key, this.#now(), asked?.id)
    return this.#record
  }

  /** The change of a session that keeps the record; none if there is no record. */
  note (metadata: JsonObject): { readonly metadata?: JsonObject } {
    return this.#record === undefined ? {} : { metadata: addKeyRecord(metadata, this.#record) }
  }
}

function readClaim (session: Session): KeyRecord | undefined {
  return readPendingApproval(session.pendingApproval)?.holdline.answered_by
}

/** The claim, if the agent has answered since; one whose turn failed is not to be taken for answered. */
function readAnsweredClaim (claim: KeyRecord, history: readonly Message[]): KeyRecord | undefined {
  const start = history.findIndex(({ id }) => id === claim.message_id) + 1
  const next = history.findIndex(({ role }, index) => index >= start && role === 'user')
  return start > 0 && history.at(next < 0 ? -1 : next - 1)?.role === 'assistant' ? claim : undefined
}
