import { randomUUID } from 'node:crypto'
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { ERRORS, ServiceError, type ErrorCode } from '../src/errors.ts'
import { SAFE_HEADERS } from '../src/safe-headers.ts'

/** What Node.js says of a connection, in our table; all else is no HTTP. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMED_OUT',
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE'
}

/** Time that a client who was refused has to read why; one who does not hang up would hold the connection for ever. */
const LINGER_MS = 1000

/**
 * What HTTP leaves to the server, before there is a request: each request names its host, once (RFC 9112, 3.2), and what Node.js would refuse with an
 * empty body is answered in our own form, or ignored as the RFCs allow. Every response is told when its connection closes, also one that waits there
 * for the end of another.
 */
async function connection (fastify: FastifyInstance): Promise<void> {
  const { server } = fastify
  // RFC 9110, 10.1.1: a server may ignore an expectation.
  server.on('checkExpectation', function ignoreExpectation (request: IncomingMessage, response: ServerResponse) {
    server.emit('request', request, response)
  })
  server.on('connect', function refuseTunnel (_request: IncomingMessage, socket: Duplex) { refuse(socket, 'REQUEST_INVALID') })

  const waiting = new WeakMap<Socket, Set<ServerResponse>>()
  fastify.addHook('onRequest', async function watchConnection ({ raw: { socket } }, { raw: response }) {
    if (response.socket === null) tellOfClose(response, socket, waiting)
  })
  fastify.addHook('onRequest', async function checkHost ({ raw: { httpVersionMajor, httpVersionMinor, rawHeaders } }) {
    const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length
    const isNeeded = httpVersionMajor === 1 && httpVersionMinor === 1
    if (hosts > 1 || (hosts === 0 && isNeeded)) throw new ServiceError('REQUEST_INVALID', { message: 'The request must name its host once' })
  })
}

/**
 * Of the answers to several requests that come at once, Node.js tells only the first that the connection has closed. The others would stay open for
 * ever, and whatever waits for their end would wait as long.
 */
function tellOfClose (response: ServerResponse, socket: Socket, waiting: WeakMap<Socket, Set<ServerResponse>>): void {
  const known = waiting.get(socket)
  const responses = known ?? new Set()
  // Not when each of them closes: one more listener, and Node.js would warn of too many.
  for (const each of responses) if (each.closed) responses.delete(each)
  responses.add(response)
  if (known !== undefined) return
  waiting.set(socket, responses)
  socket.once('close', () => {
    for (const each of responses) if (each.socket === null && !each.closed) closeResponse(each)
  })
}

/** As Node.js does it. */
function closeResponse (response: ServerResponse): void {
  response.destroy()
  Reflect.set(response, '_closed', true)
  response.emit('close')
}

/** Answers what is no HTTP, or does not arrive, for which there is neither request nor route, in the form of every error. */
export function refuseConnection (error: Error & { code?: string }, socket: Socket): void {
  // The end of an answer that has begun is not the place for another one.
  const pending: unknown = Reflect.get(socket, '_httpMessage')
  const hasBegun = typeof pending === 'object' && pending !== null && Reflect.get(pending, 'headersSent') === true
  if (error.code === 'ECONNRESET' || !socket.writable || hasBegun) socket.destroy()
  else refuse(socket, CODES[error.code ?? ''] ?? 'REQUEST_INVALID')
}

function refuse (socket: Duplex, code: ErrorCode): void {
  const id = randomUUID()
  const { status, message: text } = ERRORS[code]
  const message = code === 'REQUEST_INVALID' ? 'The request is not valid HTTP' : text
  const body = JSON.stringify({ statusCode: status, code, error: STATUS_CODES[status], message, request_id: id })
  const headers = {
    ...SAFE_HEADERS, 'content-type': 'application/json; charset=utf-8', 'x-request-id': id, 'content-length': Buffer.byteLength(body), connection: 'close'
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const timer = setTimeout(() => { socket.destroy() }, LINGER_MS)
  // Whoever has gone needs no answer.
  socket.on('error', () => { socket.destroy() }).once('close', () => { clearTimeout(timer) })
  // What is still sent is thrown away: a connection that is closed upon it is reset, and its answer lost.
  socket.resume()
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`)
}

export default fp(connection, { name: 'connection', dependencies: ['errors'], fastify: '5.x' })
