import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startApp, type Answer, type TestApp } from '../fixtures/app.ts'
import { EventClient } from '../fixtures/event-client.ts'
import { makeFolder } from '../fixtures/folder.ts'

const BOT = { authorization: 'Bearer secret-of-the-bot' }
const BOSS = { authorization: 'Bearer secret-of-the-boss' }
const API_KEY = 'bot:secret-of-the-bot:chat,boss:secret-of-the-boss:chat+approve'
const REFUSED = { status: 403, body: { code: 'KEY_SCOPE_MISSING', status: 'error', requires_approval: false } }

/** A graph that asks in plain text, which any words answer. */
const ASK = `
import { AIMessage } from '@langchain/core/messages'
import { interrupt, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph'
export const graph = new StateGraph(MessagesAnnotation)
  .addNode('ask', () => ({ messages: [new AIMessage('Heard: ' + interrupt('What for?'))] }))
  .addEdge(START, 'ask')
`

async function start (t: Test, env: Record<string, string> = {}, dir = makeFolder(t)): Promise<TestApp> {
  return await startApp(t, { dir, env: { API_KEY, ...env } })
}

async function say (service: TestApp, message: string, headers: Record<string, string> = BOT): Promise<Answer> {
  return await service.chat({ user_id: 'ann', message }, headers)
}

/** All that is kept of the sessions. */
function readRows (service: TestApp): string {
  return readFileSync(join(service.dir, 'sessions.csv'), 'utf8')
}

t.test('a key that may only chat decides nothing in words, and leaves question and session as they are', async t => {
  const service = await start(t)
  const { body: asked } = await say(service, 'note: one')
  const rows = readRows(service)
  for (const words of ['yes', 'No.', '/approve', 'approve all', 'reject: too late', 'approve 1']) {
    const refused = await service.chat({ user_id: 'ann', message: words, approval_id: asked.approval_data?.approval_id, metadata: { seen: true } }, BOT)
    t.match(refused, REFUSED, words)
    t.match(refused.body, { session_id: asked.session_id, user_id: 'api_ann', platform: 'api' })
  }
  t.equal(readRows(service), rows, 'nothing was saved')
  const repeated = await say(service, 'What is this about?')
  t.match(repeated, { status: 200, body: { status: 'waiting_approval', approval_data: { approval_id: asked.approval_data?.approval_id } } })
  t.match(await say(service, 'yes', BOSS), { status: 200, body: { message: /Saved the note: one/ } }, 'a key that may decides with these very words')
})

t.test('a key that may only chat says yes to the agent where no question waits', async t => {
  const service = await start(t)
  t.match(await say(service, 'yes'), { status: 200, body: { message: /You said: yes/ } })
})

t.test('words that answer a question in the agent\'s own way are a decision, too', async t => {
  const dir = makeFolder(t, { 'agent.ts': ASK })
  const service = await start(t, { AGENT: join(dir, 'agent.ts:graph') }, dir)
  t.match(await say(service, 'Hello'), { body: { status: 'waiting_approval', approval_data: { allowed_decisions: ['approve', 'reject', 'respond'] } } })
  t.match(await say(service, 'for fun'), REFUSED)
  t.match(await say(service, 'for fun', BOSS), { status: 200, body: { message: 'Heard: for fun' } })
})

t.test('with PENDING_TEXT=reject any text is a decision', async t => {
  const service = await start(t, { PENDING_TEXT: 'reject' })
  await say(service, 'note: one')
  t.match(await say(service, 'let us talk about the weather'), REFUSED)
  t.match((await say(service, 'yes', BOSS)).body.message, 'Saved the note: one')
})

t.test('a key that may only chat ends a session with its question', async t => {
  const service = await start(t)
  const { body: asked } = await say(service, 'note: one')
  const { status, body } = await say(service, '/new')
  t.equal(status, 200)
  t.not(body.session_id, asked.session_id)
  t.match((await say(service, 'notes')).body.message, /no notes/i)
})

t.test('a decision that was refused has not used its key, and no answer is given again to another key', async t => {
  const service = await start(t)
  const { body: asked } = await say(service, 'note: one')
  const key = { 'idempotency-key': 'once' }
  t.match(await say(service, 'yes', { ...BOT, ...key }), REFUSED)
  t.match(await say(service, 'yes', { ...BOT, ...key }), REFUSED, 'it is refused again')
  t.match(await say(service, 'What?', { ...BOT, ...key }), { status: 200, body: { status: 'waiting_approval' } }, 'with another body')
  const decided = await say(service, 'yes', { ...BOSS, ...key })
  t.match(decided, { status: 200, body: { session_id: asked.session_id, message: /Saved/ } })
  t.match(await say(service, 'yes', { ...BOSS, ...key }), { headers: { 'idempotency-replayed': 'true' }, body: decided.body })
  t.match(await say(service, 'yes', { ...BOT, ...key }), { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } }, 'of the other key it has another body')
})

t.test('a stream that would decide is refused with its status', async t => {
  const service = await start(t)
  const url = await service.listen()
  await say(service, 'note: one')
  const client = await EventClient.open(`${url}/api/chat`, { user_id: 'ann', message: 'yes' }, BOT)
  t.match({ status: client.status, body: await client.json() }, REFUSED)
  const allowed = await EventClient.open(`${url}/api/chat`, { user_id: 'ann', message: 'yes' }, BOSS)
  t.match((await allowed.rest()).at(-1), { name: 'message', data: { message: /Saved/ } })
})

t.test('a decision by program needs the scope, too, and is refused before anything of it is read', async t => {
  const service = await start(t)
  const { body: { session_id } } = await say(service, 'note: one')
  t.match(await service.approve({ user_id: 'ann', session_id, approved: true }, BOT), REFUSED)
  t.match(await service.approve({ nonsense: true }, BOT), REFUSED)
  t.match(await service.approve({ user_id: 'ann', session_id, approved: true }, BOSS), { status: 200, body: { message: /Saved/ } })
})
