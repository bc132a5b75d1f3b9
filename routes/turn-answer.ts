import type { FastifyReply, FastifyRequest } from 'fastify'
import { prefersEventStream } from '../src/accept.ts'
import type { KnownTurn } from '../src/idempotency.ts'
import { readMessageKey, type KeyedRequest } from '../src/message-key.ts'
import type { Reply } from '../src/reply.ts'
import type { TurnDesk } from '../src/turn-desk.ts'
import { TurnReader } from '../src/turn-events.ts'
import type { TurnRoute } from '../src/turn-observer.ts'
import { recordRepeat } from '../src/turn-record.ts'
import type { TurnFormat } from '../src/turn-run.ts'
import type { TurnAsker } from '../src/turn-watch.ts'
import { formatReply, type ChatAnswer, type TurnHeaders } from './schemas.ts'

/** A request to chat or approve. */
type TurnRequest = FastifyRequest & { readonly body: KeyedRequest['body'], readonly headers: TurnHeaders }

/** The turn that was asked for. */
interface AskedTurn {
  readonly route: TurnRoute
  /** The chat platform's own id of the message, where the route has one. */
  readonly messageId?: unknown
  readonly run: (asker: TurnAsker) => Promise<Reply>
}

/**
 * Answers chat and approve: as JSON, or as an event stream to those who prefer one; from the turn that runs or ran already, to those who ask
 * twice (`Idempotency-Key`, `metadata.message_id`) or lost the line (`Last-Event-ID`).
 */
export async function answerTurn (
  desk: TurnDesk, request: TurnRequest, reply: FastifyReply, { route, messageId, run }: AskedTurn
): Promise<ChatAnswer | FastifyReply> {
  const { body, clientId, headers } = request
  const wantsStream = prefersEventStream(headers.accept)
  const key = readMessageKey({ route: request.routeOptions.url ?? '', clientId, header: headers['idempotency-key'], messageId, body })
  // Who may not have another stream must not have begun a turn, nor used a key.
  if (wantsStream) reply.reserveStream()
  const lastEventId = headers['last-event-id'] ?? ''
  if (lastEventId !== '') {
    const { user_id: userId, platform, session_id: sessionId } = body
    const follower = { clientId, userId, platform, sessionId, formatError: request.describeErrors() }
    const { turn, position } = await desk.find(lastEventId, follower)
    return wantsStream ? reply.sendEvents(new TurnReader(turn.events, position)) : await sendAnswer(reply, turn, false)
  }
  // Nobody can ask for it again: nothing is kept of it.
  const mayDecide = request.hasScope('approve')
  if (!wantsStream && key === undefined) {
    request.isTurn = true
    return formatReply(await run({ mayDecide }))
  }

  const format = describeFormat(request, reply)
  const { turn, isRepeat } = await desk.open(key, {
    clientId, format, wantsTokens: wantsStream, run: async watch => await run({ key, watch, mayDecide })
  })
  request.isTurn = !isRepeat
  if (isRepeat) watchRepeat(request, turn, route)
  return wantsStream ? await sendStream(request, reply, turn, isRepeat) : await sendAnswer(reply, turn, isRepeat)
}

/** Of a repeat that ends with an error, the error is logged as that of any request. */
function watchRepeat ({ log, server: { metrics } }: TurnRequest, turn: KnownTurn, route: TurnRoute): void {
  const startedMs = performance.now()
  const record = (): void => {
    recordRepeat(turn.session, Math.round(performance.now() - startedMs), { route, log, observer: metrics.turns })
  }
  turn.outcome.then(record, () => {})
}

/** What is found before the turn begins is an ordinary error; what comes later, an event. */
async function sendStream (request: TurnRequest, reply: FastifyReply, turn: KnownTurn, isRepeat: boolean): Promise<FastifyReply> {
  // To whoever asks again for what is done, its end is enough.
  const isDone = isRepeat && turn.events.last !== undefined
  await reply.holdStatus(turn.begun)
  if (!isRepeat) turn.outcome.catch(error => { request.logError(error) })
  if (isRepeat || turn.isReplay) reply.header('idempotency-replayed', 'true')
  return reply.sendEvents(new TurnReader(turn.events, 0, isDone))
}

async function sendAnswer (reply: FastifyReply, turn: Pick<KnownTurn, 'outcome' | 'isReplay'>, isRepeat: boolean): Promise<FastifyReply> {
  const answer = await turn.outcome
  if (isRepeat || turn.isReplay) reply.header('idempotency-replayed', 'true')
  return reply.type('application/json; charset=utf-8').send(answer)
}

/** Holds on to neither the request nor the reply: a turn may wait, or run, for long after its client has gone. */
function describeFormat (request: TurnRequest, reply: FastifyReply): TurnFormat {
  const serialize = reply.getSerializationFunction('200')
  if (serialize === undefined) throw new Error('The route has no schema for its answer')
  return {
    session: ({ userId, sessionId, platform }) => JSON.stringify({ user_id: userId, session_id: sessionId, platform }),
    // By the schema of the answer, which leaves out what is not for clients.
    reply: answer => serialize({ ...formatReply(answer) }),
    error: request.describeErrors()
  }
}
