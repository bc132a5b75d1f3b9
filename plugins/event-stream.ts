import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { FastifyInstance, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { formatEventId } from '../src/kept-turns.ts'
import { OpenStreams } from '../src/open-streams.ts'
import type { TurnReader } from '../src/turn-events.ts'

declare module 'fastify' {
  interface FastifyReply {
    /** Counts this answer as an open stream of its client's until it ends, however it does. Throws STREAMS_EXCEEDED; call it before a turn begins. */
    reserveStream (): void
    /** Streams a turn's events (text/event-stream) to the last one, at the pace of whoever reads them. */
    sendEvents (reader: TurnReader): FastifyReply
    /** Keeps the status back until `known`, which may reject, but not beyond a heartbeat: then the line has to show that it is alive. */
    holdStatus (known: Promise<unknown>): Promise<void>
  }
}

/** How streams stay open, and how long they may go on once the turns have ended. */
export interface EventStreamOptions {
  readonly heartbeatMs: number
  /** Of one client; 0 for any number. */
  readonly maxStreams: number
  /** For clients to read the last events, when the service stops. */
  readonly flushMs: number
}

/** More is read only when the client takes more; within it, events that are there go out together. */
const CHUNK_BYTES = 16 * 1024

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  // A cache or a proxy that compresses, or waits for more, would hold events back.
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no'
}

/**
 * Event streams as `reply.sendEvents`; closing waits for them, and not for those who do not read.
 *
 * *Promise.* A client that reads slowly, or not at all, makes nothing wait and nothing grow: what it has not taken stays with the turn, which keeps a
 * bounded part of it. No heartbeat is written to who does not read.
 */
async function eventStream (fastify: FastifyInstance, { heartbeatMs, maxStreams, flushMs }: EventStreamOptions): Promise<void> {
  /** With the end of each. */
  const open = new Map<ServerResponse, Promise<void>>()
  const openStreams = new OpenStreams(maxStreams)
  fastify.decorateReply('reserveStream', function reserveStream (this: FastifyReply) {
    const release = openStreams.take(this.request.countedClient)
    finished(this.raw).then(release, release)
  })
  fastify.metrics.state.watch({ countStreams: () => open.size })
  fastify.decorateReply('sendEvents', function sendEvents (this: FastifyReply, reader: TurnReader) {
    const response = this.raw
    const remove = (): void => { open.delete(response) }
    open.set(response, finished(response).then(remove, remove))
    return this.headers(HEADERS).send(new EventStream(reader, heartbeatMs))
  })
  fastify.decorateReply('holdStatus', async function holdStatus (known: Promise<unknown>) {
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise(resolve => { timer = setTimeout(resolve, heartbeatMs) })
    await Promise.race([known, patience]).finally(() => { clearTimeout(timer) })
  })

  // After the turns have been drained: each stream has its last event by now. The server would wait for ever for a client that does not read it.
  fastify.addHook('preClose', async function endStreams () {
    const timer = setTimeout(() => { for (const response of open.keys()) response.destroy() }, flushMs)
    await Promise.all(open.values())
    clearTimeout(timer)
  })
}

/** What is no line break in JSON, nor in an event stream, is one for some who read it line by line, such as Python's splitlines. */
function escapeBreaks (json: string): string {
  return json.replace(/[\u0085\u2028\u2029]/g, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** The events of a turn as the text of an event stream, made when it is read. */
class EventStream extends Readable {
  readonly #reader: TurnReader
  readonly #unfollow: () => void
  readonly #heartbeat: NodeJS.Timeout
  /** Whether more has been asked for than there was. */
  #isWaiting = false

  constructor (reader: TurnReader, heartbeatMs: number) {
    super({ highWaterMark: CHUNK_BYTES })
    this.#reader = reader
    this.#unfollow = reader.events.follow(() => { this.#wake() })
    this.#heartbeat = setInterval(() => { this.#beat() }, heartbeatMs).unref()
  }

  override _read (): void {
    let text = ''
    while (text.length < CHUNK_BYTES) {
      const event = this.#reader.next()
      if (event === undefined) break
      text += `id: ${formatEventId(this.#reader.events.id, event.position)}\nevent: ${event.name}\ndata: ${escapeBreaks(event.data)}\n\n`
    }
    this.#isWaiting = text === '' && !this.#reader.isDone
    if (text !== '') this.push(text)
    if (this.#reader.isDone) this.push(null)
  }

  override _destroy (error: Error | null, done: (error: Error | null) => void): void {
    clearInterval(this.#heartbeat)
    this.#unfollow()
    done(error)
  }

  #wake (): void {
    // Also between two reads: an event that is too large to be kept is there only now.
    if (this.#isWaiting || this.readableLength < CHUNK_BYTES) this._read()
  }

  #beat (): void {
    if (!this.#isWaiting) return
    this.#isWaiting = false
    this.push(': still here\n\n')
  }
}

export default fp(eventStream, { name: 'event-stream', dependencies: ['conversation', 'rate-limit', 'metrics'], fastify: '5.x' })
