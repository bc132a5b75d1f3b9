import t from 'tap'
import { findPerson } from '../src/person.ts'
import { createSession, type Session } from '../src/sessions/session.ts'

function makeSession (userId: string, platform: string): Session {
  return createSession({ now: () => 0, newId: () => 'id', userId, platform })
}

const sessions: Readonly<Record<string, Session>> = {
  normal: makeSession('telegram_456', 'telegram'),
  literal: makeSession('456', 'telegram'),
  api: makeSession('api_telegram_456', 'api')
}
const store = { get: async (sessionId: string) => sessions[sessionId] }

async function find (userId: string, platform?: string, sessionId?: string): Promise<string> {
  return (await findPerson(store, { userId, platform, sessionId })).person
}

t.test('a person is one, however named', async t => {
  const person = 'telegram telegram_456'
  t.equal(await find('456', 'telegram'), person)
  t.equal(await find('telegram_456'), person)
  t.equal(await find('telegram_456', 'telegram'), person)
  for (const session of ['normal', 'literal']) {
    t.equal(await find('456', undefined, session), person, `by the ${session} session alone`)
    t.equal(await find('telegram_456', undefined, 'normal'), person)
    t.equal(await find('456', 'telegram', session), person)
  }
})

t.test('the same id on another platform is another person', async t => {
  t.equal(await find('456'), 'api api_456')
  t.equal(await find('telegram_456', 'api'), 'api api_telegram_456')
  t.equal(await find('telegram_456', undefined, 'api'), 'api api_telegram_456')
})

t.test('who names another\'s session, or none that there is, is who they say they are', async t => {
  t.equal(await find('bob', undefined, 'normal'), 'api api_bob')
  t.equal(await find('456', undefined, 'nowhere'), 'api api_456')
})
