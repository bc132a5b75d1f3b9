import { Finding } from './client.ts'
import type { Scene, Stage } from './scene.ts'

/** Says a thing or two, and is never seen again. */
async function comeOnce ({ person, random }: Stage): Promise<void> {
  await person.tell(person.words())
  if (random.next() < 0.3) await person.tell(person.words(), { more: { metadata: { user_profile: { name: person.words() } } } })
  if (random.next() < 0.2) await person.tellAloud(person.words(200))
}

/** Several people at once open a conversation and have nothing to say yet: many sessions for little work. */
async function comeTogether ({ person, invite }: Stage): Promise<void> {
  await Promise.all([person, ...Array.from({ length: 5 }, invite)].map(async one => {
    const { body } = await one.say({ text: '/new' })
    one.expect(body, 'completed', 'This is a new conversation.')
  }))
}

async function comeAndDelete ({ client, person }: Stage): Promise<void> {
  await person.tell(person.words())
  await end({ client, person })
}

/** Ends a person's session by DELETE; it is gone then, and its conversation with it. */
export async function end ({ client, person }: Pick<Stage, 'client' | 'person'>): Promise<void> {
  const path = `/api/sessions/${String(person.sessionId)}`
  await client.send({ method: 'DELETE', path, allowed: ['200'] })
  await client.send({ method: 'GET', path: `${path}/messages`, allowed: ['404 SESSION_NOT_FOUND'] })
  person.leave()
}

/** Another person's session cannot be told from one that does not exist. */
async function meddle ({ client, person }: Stage): Promise<void> {
  await person.tell(person.words())
  const body = { user_id: `${person.userId}-else`, platform: person.platform, session_id: person.sessionId }
  await client.send({ path: '/api/chat', body: { ...body, message: 'Hello' }, allowed: ['404 SESSION_NOT_FOUND'] })
  await client.send({ path: '/api/approve', body: { ...body, approved: true }, allowed: ['404 SESSION_NOT_FOUND'] })
}

async function look ({ client, person, random }: Stage): Promise<void> {
  const path = random.pick([
    '/', '/health', '/health/live', '/health/ready', '/api/sessions?limit=20', '/api/sessions?pending=true&limit=10',
    '/api/sessions?platform=telegram&limit=10', '/api/sessions/count', '/metrics'
  ])
  // Not every build has metrics.
  await client.send({ method: 'GET', path, allowed: path === '/metrics' ? ['200', '404 ROUTE_NOT_FOUND'] : ['200'] })
  await person.tell(person.words())
  const { body } = await client.send({ method: 'GET', path: `/api/sessions/${person.userId}`, allowed: ['200'] })
  if (body.sessions.length !== 1 || body.sessions[0]?.session_id !== person.sessionId) throw new Finding('A person had other sessions than their own')
}

/** Reads all sessions, page by page. */
async function walk ({ client }: Stage): Promise<void> {
  let cursor: string | null = ''
  while (cursor !== null) {
    const path: string = `/api/sessions?limit=50${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`
    const { body } = await client.send({ method: 'GET', path, allowed: ['200'] })
    cursor = body.next_cursor
  }
}

const JSON_TYPE = { 'content-type': 'application/json' }

/** Everything that is refused before it reaches an agent. */
async function ask ({ client, person, random }: Stage): Promise<void> {
  const body = { user_id: person.userId, message: 'Hello' }
  const [path, sent, headers, allowed] = random.pick<readonly [string, object | string, Readonly<Record<string, string>>, string]>([
    ['/api/chat', '{"user_id": ', JSON_TYPE, '400 BODY_NOT_JSON'],
    ['/api/chat', { ...body, message: 7 }, {}, '400 REQUEST_INVALID'],
    ['/api/chat', { ...body, user_id: '' }, {}, '400 REQUEST_INVALID'],
    ['/api/chat', { ...body, message: 'x'.repeat(32_001) }, {}, '400 REQUEST_INVALID'],
    ['/api/chat', { ...body, message: 'x\u0000' }, {}, '400 REQUEST_INVALID'],
    ['/api/chat', { ...body, metadata: { much: 'x'.repeat(17_000) } }, {}, '400 REQUEST_INVALID'],
    ['/api/chat', { ...body, padding: 'x'.repeat(260 * 1024) }, {}, '413 BODY_TOO_LARGE'],
    ['/api/chat', 'Hello', { 'content-type': 'text/plain' }, '415 MEDIA_TYPE_UNSUPPORTED'],
    ['/api/chat', { ...body, session_id: 'unknown' }, {}, '404 SESSION_NOT_FOUND'],
    ['/api/chat', body, { 'last-event-id': 'unknown' }, '409 STREAM_GONE'],
    ['/api/chat', body, { authorization: 'Bearer ' }, '401 KEY_REFUSED or 429 KEY_ATTEMPTS_EXCEEDED'],
    ['/api/sessions/unknown/cancel', {}, {}, '404 SESSION_NOT_FOUND'],
    ['/api/nothing', body, {}, '404 ROUTE_NOT_FOUND']
  ])
  await client.send({ path, body: sent, headers, allowed: allowed.split(' or ') })
}

/** People who come once, and those who look on. */
export const VISITS: ReadonlyArray<readonly [weight: number, scene: Scene]> = [
  [60, { name: 'come once', play: comeOnce }],
  [30, { name: 'come together', play: comeTogether }],
  [6, { name: 'come, then DELETE', play: comeAndDelete }],
  [4, { name: 'meddle', play: meddle }],
  [8, { name: 'look', play: look }],
  [2, { name: 'walk through all sessions', play: walk }],
  [8, { name: 'send what is refused', play: ask }]
]
