import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder } from './fixtures/folder.ts'
import { makeGate } from './fixtures/gate.ts'
import { OpenAiServer } from './fixtures/openai-server.ts'
import { Service } from './fixtures/service.ts'

const ROUNDS = 4
const PEOPLE = ['ann', 'bob', 'cem', 'dee']

/** What a person was promised by an answer, and what was still on its way. */
interface Ledger {
  readonly acknowledged: string[]
  readonly attempted: string[]
  sessionId: string
}

/** Saves note after note, each asked about and approved, until the service is gone. */
async function keepSaving (service: Service, person: string, round: number, ledger: Ledger, onSaved: () => void): Promise<void> {
  for (let index = 0; ; index++) {
    const note = `${person}-${round}-${index}`
    try {
      const asked = await service.say(`note: ${note}`, { user_id: person })
      ledger.sessionId = asked.body.session_id
      ledger.attempted.push(note)
      const { body } = await service.say('yes', { user_id: person, approval_id: asked.body.approval_data?.approval_id })
      if (body.message.startsWith('Saved')) ledger.acknowledged.push(note)
      onSaved()
    } catch {
      return
    }
  }
}

t.test('kill -9 under load: what was acknowledged is there, every approved tool ran at most once, and the file is whole all the while', async t => {
  const dir = makeFolder(t)
  const path = join(dir, 'sessions.csv')
  const ledgers = new Map<string, Ledger>(PEOPLE.map(person => [person, { acknowledged: [], attempted: [], sessionId: '' }]))
  for (let round = 0; round < ROUNDS; round++) {
    const service = await Service.start(t, dir)
    let saved = 0
    let torn = 0
    const killAfter = 5 + Math.floor(Math.random() * 20)
    const watch = setInterval(() => {
      const text = readFileSync(path, 'utf8')
      if (!text.startsWith('session_id,user_id,') || !text.endsWith('\n')) torn++
    }, 1)
    const saving = [...ledgers].map(async ([person, ledger]) => {
      await keepSaving(service, person, round, ledger, () => { if (++saved === killAfter) service.kill('SIGKILL') })
    })
    await Promise.all(saving)
    clearInterval(watch)
    t.equal((await service.exit).signal, 'SIGKILL')
    t.equal(torn, 0, 'no reader ever saw half a file')

    const next = await Service.start(t, dir)
    for (const [person, { acknowledged, attempted, sessionId }] of ledgers) {
      const { sessions } = (await next.request(`/api/sessions/${person}`)).body
      t.ok(sessions.some(session => session.session_id === sessionId), `${person}'s session outlived the kill`)
      // A question or a cut-off answer may be open; the notes are the person's, whatever became of the session.
      await next.say('/new', { user_id: person })
      const listed = (await next.say('notes', { user_id: person })).body.message.match(/^\d+\. .*$/gm)?.map(line => line.replace(/^\d+\. /, '')) ?? []
      t.same(acknowledged.filter(note => !listed.includes(note)), [], 'nothing acknowledged is lost')
      t.equal(new Set(listed).size, listed.length, 'nothing ran twice')
      t.same(listed.filter(note => !attempted.includes(note)), [], 'nothing ran that was not asked about')
    }
    next.kill('SIGTERM')
    t.equal((await next.exit).code, 0)
  }
})

t.test('what a killed turn left half done does not trouble the next message', async t => {
  const dir = makeFolder(t)
  const service = await Service.start(t, dir)
  await service.say('kept')
  const lost = service.say('cut off').catch(() => {})
  service.kill('SIGKILL')
  await Promise.all([lost, service.exit])
  const next = await Service.start(t, dir)
  t.match((await next.say('what did I say first?')).body, { status: 'completed', message: /"kept"/ })
})

t.test('kill -9 after an answer: whoever asks again with the same key gets the same answer, and nothing is run', async t => {
  const dir = makeFolder(t)
  const provider = await OpenAiServer.start(t)
  const key = { 'idempotency-key': 'again' }
  const hello = { user_id: 'ann', message: 'Hello' }
  const service = await Service.start(t, dir, provider.env)
  const first = await service.post('/api/chat', hello, key)
  service.kill('SIGKILL')
  await service.exit
  const next = await Service.start(t, dir, provider.env)
  const second = await next.post('/api/chat', hello, key)
  t.match(second, { status: 200, headers: { 'idempotency-replayed': 'true' }, body: { message: first.body.message, session_id: first.body.session_id } })
  const { messages } = (await next.request(`/api/sessions/${first.body.session_id}/messages`)).body
  t.same(messages.map(message => message.content), ['Hello', first.body.message])
  t.equal(provider.requests.length, 1)
})

t.test('kill -9 in the middle of a turn: whoever asks again with the same key has it run again, once', async t => {
  const dir = makeFolder(t)
  const provider = await OpenAiServer.start(t)
  const key = { 'idempotency-key': 'again' }
  const service = await Service.start(t, dir, provider.env)
  await service.say('Before', { user_id: 'ann' })
  const reached = makeGate()
  provider.answer = () => {
    reached.open()
    return 'hang'
  }
  const cutOff = service.post('/api/chat', { user_id: 'ann', message: 'Hello' }, key).catch(() => 'cut off')
  await reached.opened
  service.kill('SIGKILL')
  await service.exit
  t.equal(await cutOff, 'cut off')
  provider.answer = () => ({ text: 'Run again' })
  const next = await Service.start(t, dir, provider.env)
  const again = await next.post('/api/chat', { user_id: 'ann', message: 'Hello' }, key)
  t.match(again, { status: 200, body: { message: 'Run again' } })
  t.notOk('idempotency-replayed' in again.headers)
  t.match(await next.post('/api/chat', { user_id: 'ann', message: 'Hello' }, key), { headers: { 'idempotency-replayed': 'true' }, body: { message: 'Run again' } })
  const { messages } = (await next.request(`/api/sessions/${again.body.session_id}/messages`)).body
  t.same(messages.filter(message => message.role === 'user').map(message => message.content), ['Before', 'Hello'])
  t.equal(provider.requests.length, 3)
})
