import { connect, type Socket } from 'node:net'
import { API_KEY } from './settings.ts'

/** How many of a kind are there at once, at most. */
const MAX_OF_A_KIND = 2

/** How long they stay; those who stop in the middle long enough for the service to lose its patience. */
const STAY_MS = { reads: 12_000, sends: 45_000 }

/** A stream of a quarter of a megabyte: more than the service hands to a socket that nobody reads. */
const MANY_WORDS = 'on '.repeat(3000).trim()

type Kind = 'reads a byte a second' | 'reads nothing' | 'sends half a body' | 'sends half a header'

export const RAW_KINDS: readonly Kind[] = ['reads a byte a second', 'reads nothing', 'sends half a body', 'sends half a header']

/** Clients that no library would be: slow ones, and ones that stop in the middle. */
export class RawClients {
  readonly #url: URL
  readonly #open = new Map<Socket, Kind>()
  #started = 0

  constructor (url: URL) {
    this.#url = url
  }

  get started (): number {
    return this.#started
  }

  /** Begins one, unless there are enough of its kind. */
  start (kind: Kind): void {
    if ([...this.#open.values()].filter(other => other === kind).length >= MAX_OF_A_KIND) return
    this.#started++
    const socket = connect({ port: Number(this.#url.port), host: this.#url.hostname })
    this.#open.set(socket, kind)
    const reading = kind === 'reads a byte a second' ? setInterval(() => { socket.read(1) }, 1000) : undefined
    const leaving = setTimeout(() => { socket.destroy() }, kind.startsWith('sends') ? STAY_MS.sends : STAY_MS.reads)
    // The service may close it first: it has its own idea of how long to wait.
    socket.on('error', () => {})
    socket.once('close', () => {
      clearInterval(reading)
      clearTimeout(leaving)
      this.#open.delete(socket)
    })
    // Whoever listens for 'readable' and does not read leaves all that comes where it is.
    socket.on('readable', () => { if (kind.startsWith('sends')) socket.read() })
    socket.write(this.#compose(kind))
  }

  close (): void {
    for (const socket of this.#open.keys()) socket.destroy()
  }

  #compose (kind: Kind): string {
    const body = JSON.stringify({ user_id: `raw-${this.#started}`, message: MANY_WORDS })
    const head = [
      'POST /api/chat HTTP/1.1', `Host: ${this.#url.host}`, `Authorization: Bearer ${API_KEY}`, 'Accept: text/event-stream',
      'Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`, '', ''
    ].join('\r\n')
    if (kind === 'sends half a header') return head.slice(0, 60)
    return kind === 'sends half a body' ? head + body.slice(0, body.length / 2) : head + body
  }
}
