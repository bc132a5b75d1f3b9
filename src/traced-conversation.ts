import type { Span, Tracer } from '@opentelemetry/api'
import { Conversation, type ConversationOptions } from './conversation.ts'
import { ServiceError } from './errors.ts'
import type { Log } from './log.ts'
import type { Reply } from './reply.ts'
import { nameFailure, withSpan } from './trace.ts'
import type { ChatRequest, DecisionRequest } from './turn-request.ts'
import type { TurnAsker } from './turn-watch.ts'

/**
 * A conversation whose turns are traced: one span `turn` each, from the arrival of the message to the end of its turn, whoever still waits for it. It
 * says which session it was, and what came of it: the status of the reply, or the code of the error.
 */
export class TracedConversation extends Conversation {
  readonly #tracer: Tracer

  constructor (options: ConversationOptions, tracer: Tracer) {
    super(options)
    this.#tracer = tracer
  }

  override async chat (request: ChatRequest, log: Log, asker?: TurnAsker): Promise<Reply> {
    return await this.#trace('chat', async () => await super.chat(request, log, asker))
  }

  override async decide (request: DecisionRequest, log: Log, asker?: TurnAsker): Promise<Reply> {
    return await this.#trace('approve', async () => await super.decide(request, log, asker))
  }

  async #trace (route: string, run: () => Promise<Reply>): Promise<Reply> {
    return await withSpan(this.#tracer, { name: 'turn', attributes: { route } }, async span => {
      try {
        return describeReply(span, await run())
      } catch (error) {
        span.setAttribute('outcome', nameFailure(error))
        if (error instanceof ServiceError && error.session !== undefined) span.setAttribute('session_id', error.session.sessionId)
        throw error
      }
    })
  }
}

function describeReply (span: Span, reply: Reply): Reply {
  const { session: { sessionId, threadId }, status, isReplay = false } = reply
  span.setAttributes({ session_id: sessionId, thread_id: threadId, outcome: status, is_replay: isReplay })
  return reply
}
