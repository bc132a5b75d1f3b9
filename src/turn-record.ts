import { ServiceError, type SessionReference } from './errors.ts'
import type { Log } from './log.ts'
import type { Reply } from './reply.ts'
import type { TurnEnd, TurnObserver, TurnOutcome, TurnRoute } from './turn-observer.ts'

/** What a turn is recorded with. */
export interface TurnRecordOptions {
  readonly route: TurnRoute
  readonly log: Log
  readonly observer: TurnObserver
  readonly now: () => number
}

/** A session as a line of the log names it: no person, whom its id leads to for whoever may know. */
type KnownSession = Pick<SessionReference, 'sessionId' | 'platform'> & { readonly threadId?: string }

/**
 * Where a turn ends, however it does: it is counted there, and has its one line in the log.
 *
 * *Promise.* One line and one count for each turn, at the moment that its caller is answered, also for one that is refused while it waits or before.
 */
export class TurnRecord {
  readonly #options: TurnRecordOptions
  readonly #arrivedAtMs: number
  #begunAtMs: number | undefined
  #session: KnownSession | undefined

  constructor (options: TurnRecordOptions) {
    this.#options = options
    this.#arrivedAtMs = options.now()
  }

  /** Its turn has come. */
  begin (): void {
    this.#begunAtMs = this.#options.now()
  }

  /** It is found whose turn it is. */
  concern (session: KnownSession | undefined): void {
    this.#session = session
  }

  /** Runs it, and records its end. */
  async follow (run: () => Promise<Reply>): Promise<Reply> {
    let reply: Reply
    try {
      reply = await run()
    } catch (error) {
      const known = error instanceof ServiceError ? error : new ServiceError('INTERNAL', { cause: error })
      this.#end({ outcome: describeFailure(known), code: known.code, status: known.statusCode, session: this.#session ?? known.session })
      throw error
    }
    const { session, approval, facts: { model, usage } } = reply
    this.#end({ outcome: reply.isReplay === true ? 'replayed' : reply.status, session, model, usage, approvalId: approval?.approval_id })
    return reply
  }

  #end (end: Ending): void {
    const { route, log, observer, now } = this.#options
    const endedAtMs = now()
    const begunAtMs = this.#begunAtMs
    // Clocks step back.
    const waitedMs = Math.max(0, (begunAtMs ?? endedAtMs) - this.#arrivedAtMs)
    const durationMs = begunAtMs === undefined ? undefined : Math.max(0, endedAtMs - begunAtMs)
    const { outcome, code, model, usage } = end
    observer.ended({ route, outcome, code, waitedMs, durationMs, model, usage })
    log.info(describeEnd(route, end, waitedMs, durationMs), 'Turn ended')
  }
}

/** A repeat was given what its first request came to, which is a turn of its own for its caller alone. */
export function recordRepeat (session: KnownSession | undefined, waitedMs: number, { route, log, observer }: Omit<TurnRecordOptions, 'now'>): void {
  const end = { outcome: 'replayed', code: undefined, model: undefined, usage: undefined } as const
  observer.ended({ route, ...end, waitedMs, durationMs: undefined })
  log.info(describeEnd(route, { ...end, session }, waitedMs, undefined), 'Turn ended')
}

interface Ending extends Partial<Pick<TurnEnd, 'code' | 'model' | 'usage'>> {
  readonly outcome: TurnOutcome
  readonly status?: number
  readonly session: KnownSession | undefined
  readonly approvalId?: string | undefined
}

function describeFailure ({ code, statusCode }: ServiceError): TurnOutcome {
  if (code === 'TURN_CANCELLED') return 'cancelled'
  return statusCode < 500 ? 'refused' : 'failed'
}

function describeEnd (route: TurnRoute, end: Ending, waitedMs: number, durationMs: number | undefined): object {
  const { outcome, code, status = 200, session, model, usage, approvalId } = end
  return {
    route,
    outcome,
    code,
    status,
    duration_ms: durationMs,
    waited_ms: waitedMs,
    session_id: session?.sessionId,
    thread_id: session?.threadId,
    platform: session?.platform,
    approval_id: approvalId,
    model,
    input_tokens: usage?.input_tokens,
    output_tokens: usage?.output_tokens
  }
}
