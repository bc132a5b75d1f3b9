import { setTimeout as sleep } from 'node:timers/promises'
import { Finding, type Ask } from './client.ts'
import type { Scene, Stage } from './scene.ts'
import { MAX_QUEUED_TURNS } from './settings.ts'
import { checkPositions, readStream } from './stream.ts'

/** Words enough for a stream that somebody can leave, or cancel, in its middle. */
const LONG_WORDS = 400

async function say ({ person, random }: Stage): Promise<void> {
  await person.tell(person.words(random.between(0, 500)))
}

async function sayAloud ({ person, random }: Stage): Promise<void> {
  checkPositions(await person.tellAloud(person.words(random.between(0, 500))))
}

function speech (person: Stage['person']): string {
  return `${person.words()} ${'on and '.repeat(LONG_WORDS / 2).trim()}`
}

/** Leaves a stream in its middle and comes back for the rest. */
async function reconnect ({ client, person, random }: Stage): Promise<void> {
  const ask = person.chat({ text: speech(person) })
  const seen = await readStream(client, ask, { leaveAfter: random.between(1, 100) })
  person.said.push(messageOf(ask))
  const last = seen.at(-1)
  if (last === undefined || last.name === 'refused') throw new Finding('A stream that was left had no event')
  const rest = await readStream(client, { ...ask, headers: { 'last-event-id': last.id } })
  if (last.name !== 'message') checkPositions([last, ...rest])
  person.expect(person.meetStream([...seen.slice(0, 1), ...rest]), 'completed', `You said: ${messageOf(ask)}`)
}

/** Leaves and does not come back: the turn is finished and saved all the same. */
async function goAway ({ client, person }: Stage): Promise<void> {
  const ask = person.chat({ text: speech(person) })
  await readStream(client, ask, { leaveAfter: 1 })
  person.said.push(messageOf(ask))
  // It waits for its turn behind the one that was left.
  await person.tell(person.words())
}

function messageOf ({ body }: Ask): string {
  return typeof body === 'object' && 'message' in body ? String(body.message) : ''
}

async function askForFirst ({ person }: Stage): Promise<void> {
  if (person.said.length === 0) await person.tell(person.words())
  const question = 'what did I say first?'
  const { body } = await person.say({ text: question })
  // Quoted to its end or not: its first words are nobody else's.
  person.expect(body, 'completed', `You said first: "${(person.said[0] ?? '').slice(0, 40)}`)
  person.said.push(question)
}

/** What was acknowledged is there, all of it and nothing else. */
async function readMessages ({ client, person }: Stage): Promise<void> {
  if (person.said.length === 0) await person.tell(person.words())
  const there: string[] = []
  for (let cursor = ''; ;) {
    const path = `/api/sessions/${String(person.sessionId)}/messages?limit=20${cursor === '' ? '' : `&cursor=${cursor}`}`
    const { body } = await client.send({ method: 'GET', path, allowed: ['200'] })
    there.push(...body.messages.filter(({ role }) => role === 'user').map(({ content }) => content))
    if (body.next_cursor === null) break
    cursor = body.next_cursor
  }
  // In a burst, nobody knows who came first.
  const missing = person.said.filter(text => !there.includes(text)).length
  if (there.length !== person.said.length || missing > 0) {
    throw new Finding(`A conversation held ${there.length} messages of ${person.said.length}; ${missing} were missing`)
  }
}

async function repeat ({ client, person, random }: Stage): Promise<void> {
  const key = random.text(20)
  const text = person.words()
  const isById = random.next() < 0.5
  const ask = isById ? person.chat({ text, more: { metadata: { message_id: key } } }) : person.chat({ text, headers: { 'idempotency-key': key } })
  const [first, second] = await Promise.all([client.send(ask), client.send(ask)])
  const third = await client.send(ask)
  person.said.push(text)
  for (const { body } of [first, second, third]) person.meet(body)
  if (first.body.message !== second.body.message || second.body.message !== third.body.message) throw new Finding('A repeat was answered otherwise')
  if (third.headers['idempotency-replayed'] !== 'true') throw new Finding('A repeat did not say so')
  if (!isById) await person.say({ text: person.words(), headers: { 'idempotency-key': key }, allowed: ['409 IDEMPOTENCY_KEY_REUSED'] })
}

/** More messages at once than may wait. */
async function burst ({ person }: Stage): Promise<void> {
  await Promise.all(Array.from({ length: MAX_QUEUED_TURNS + 4 }, async () => {
    const answer = await person.tell(person.words(), { allowed: ['200', '429 TURN_QUEUE_FULL'] })
    if (answer.status === 429 && answer.headers['retry-after'] === undefined) throw new Finding('A 429 did not say when to come back')
  }))
}

async function cancel ({ client, person }: Stage): Promise<void> {
  if (person.sessionId === undefined) await person.startAfresh()
  const text = speech(person)
  const said = person.say({ text, allowed: ['200', '409 TURN_CANCELLED'] })
  await sleep(5)
  const path = `/api/sessions/${String(person.sessionId)}/cancel`
  const cancelled = await client.send({ path, allowed: ['200', '409 TURN_NOT_RUNNING'] })
  const { status } = await said
  if (status === 200) person.said.push(text)
  if (status !== 200 && cancelled.status !== 200) throw new Finding('A turn was cancelled, and nobody had it cancelled')
}

/** What people do who come again and again. */
export const TALK: ReadonlyArray<readonly [weight: number, scene: Scene]> = [
  [20, { name: 'say', play: say }],
  [20, { name: 'say, streamed', play: sayAloud }],
  [6, { name: 'reconnect', play: reconnect }],
  [4, { name: 'go away', play: goAway }],
  [5, { name: 'ask for the first message', play: askForFirst }],
  [6, { name: 'read the messages', play: readMessages }],
  [8, { name: 'repeat', play: repeat }],
  [2, { name: 'burst', play: burst }],
  [4, { name: 'cancel', play: cancel }]
]
