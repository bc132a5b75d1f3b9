import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import eventStream from '../../plugins/event-stream.ts'
import { Metrics } from '../../src/metrics/metrics.ts'
import { TurnEvents, TurnReader } from '../../src/turn-events.ts'

const MIB = 1024 * 1024
const CHUNK = JSON.stringify({ text: 'x'.repeat(64 * 1024) })
/** More than the system's buffers take for a client that does not read. */
const CHUNKS = 800

interface Stalled {
  readonly socket: Socket
  readonly response: ServerResponse
  readonly events: TurnEvents
  readonly close: () => Promise<void>
}

/** A stream of a turn's events, to a client that does not read. */
async function openStalled (t: Test, heartbeatMs: number): Promise<Stalled> {
  const app = Fastify()
  const events = new TurnEvents({ id: '00000000-0000-4000-8000-000000000000', maxBytes: MIB })
  await app.register(fp(async fastify => {
    fastify.decorate('metrics', new Metrics({ version: '0', platforms: [], log: app.log, now: Date.now }))
  }, { name: 'metrics' }))
  await app.register(fp(async () => {}, { name: 'conversation' }))
  await app.register(fp(async () => {}, { name: 'rate-limit' }))
  await app.register(eventStream, { heartbeatMs, maxStreams: 0, flushMs: 50 })
  app.get('/', async (_, reply) => reply.sendEvents(new TurnReader(events)))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  t.after(async () => { await app.close() })
  events.add('session', '{}')
  const responded = once(app.server, 'request')
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) }).pause()
  t.after(() => { socket.destroy() })
  socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  const [, response] = await responded
  return { socket, response, events, close: async () => { await app.close() } }
}

function bufferedFor ({ response }: Stalled): number {
  return response.writableLength + (response.socket?.writableLength ?? 0)
}

t.test('a client that reads gets an event that is too large to be kept, also right behind another one', async t => {
  const { socket, events } = await openStalled(t, 60_000)
  let text = ''
  socket.setEncoding('utf8').on('data', received => { text += String(received) }).resume()
  await once(socket, 'data')
  events.add('tool_call', '{}')
  events.add('tool_result', JSON.stringify({ content: 'x'.repeat(1.2 * MIB) }))
  events.add('message', '{}')
  await once(socket, 'close')
  t.same(text.match(/(?<=event: ).*/g), ['session', 'tool_call', 'tool_result', 'message'])
})

t.test('an event is one line for those, too, who take the line breaks of Unicode for such', async t => {
  const { socket, events } = await openStalled(t, 60_000)
  let text = ''
  socket.setEncoding('utf8').on('data', received => { text += String(received) }).resume()
  events.add('message', JSON.stringify({ message: 'a\u0085b\u2028c\u2029d' }))
  await once(socket, 'close')
  t.match(text, 'data: {"message":"a\\u0085b\\u2028c\\u2029d"}')
})

t.test('nothing grows for a client that does not read: the turn goes on, and its oldest events go', async t => {
  const stalled = await openStalled(t, 1)
  const { socket, events } = stalled
  let mostBuffered = 0
  let mostKept = 0
  for (let index = 0; index < CHUNKS; index++) {
    events.add('token', CHUNK)
    mostKept = Math.max(mostKept, events.bytes)
    // Lets the stream write what it can, and the heartbeats come.
    await new Promise(resolve => setImmediate(resolve))
    mostBuffered = Math.max(mostBuffered, bufferedFor(stalled))
  }
  t.ok(mostKept < 1.1 * MIB, `the turn kept ${mostKept} bytes`)
  t.ok(mostBuffered < 0.3 * MIB, `${mostBuffered} bytes were buffered for the client, of ${CHUNKS * CHUNK.length}`)
  // Time for many a heartbeat.
  await new Promise(resolve => { setTimeout(resolve, 20) })
  events.add('message', '{"message":"the end"}')
  let text = ''
  for await (const chunk of socket.setEncoding('utf8')) text += String(chunk)
  const positions = [...text.matchAll(/^id: .*:(\d+)$/gm)].map(([, position]) => Number(position))
  const last = positions.pop()
  t.same(positions, positions.map((_, index) => index + 1), 'what it had taken, without a gap')
  t.ok(positions.length < CHUNKS, 'and not what went meanwhile')
  t.equal(last, CHUNKS + 2)
  t.notMatch(text.slice(text.lastIndexOf('event: token')), /^: /m, 'no heartbeat was kept for who does not read')
  t.match(text, /event: message\ndata: \{"message":"the end"\}\n\n/, 'but the end')
})

t.test('closing does not wait for a client that does not read', async t => {
  const stalled = await openStalled(t, 60_000)
  for (let index = 0; index < CHUNKS; index++) {
    stalled.events.add('token', CHUNK)
    await new Promise(resolve => setImmediate(resolve))
  }
  stalled.events.add('message', '{}')
  t.ok(bufferedFor(stalled) > 0, 'it has not read')
  await stalled.close()
  t.ok(stalled.response.destroyed)
})
