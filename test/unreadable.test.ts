import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { startApp } from './fixtures/app.ts'
import { makeFolder } from './fixtures/folder.ts'

t.test('a conversation that cannot be read says so, costs no other, and can be ended', async t => {
  const dir = makeFolder(t)
  const first = await startApp(t, { dir })
  const { body: { session_id } } = await first.say('Hello')
  await first.chat({ user_id: 'bob', message: 'Hello' })
  const [session] = (await first.get('/api/sessions/ann')).body.sessions
  await first.app.close()
  const db = new Database(join(dir, 'conversations.sqlite'))
  t.ok(db.prepare('UPDATE thread_checkpoints SET body = ? WHERE thread_id = ?').run(Buffer.from('{"torn'), session?.thread_id).changes > 0)
  db.close()

  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { dir, logged })
  t.match(await service.get(`/api/sessions/${session_id}/messages`), { status: 500, body: { code: 'CONVERSATION_UNREADABLE', message: /"\/new"/ } })
  t.match(await service.say('Hello'), { status: 500, body: { code: 'CONVERSATION_UNREADABLE', session_id } })
  t.match(logged.find(line => line.code === 'CONVERSATION_UNREADABLE' && line.level === 50), { err: { stack: String } })
  t.match(await service.chat({ user_id: 'bob', message: 'what did I say first?' }), { status: 200, body: { message: /"Hello"/ } })
  t.match((await service.say('/new')).body, { status: 'completed' })
  t.match((await service.say('Hello')).body.message, /^You said: Hello/)
})

t.test('a session whose conversation cannot be read can be deleted', async t => {
  const dir = makeFolder(t)
  const first = await startApp(t, { dir })
  const { body: { session_id } } = await first.say('Hello')
  await first.app.close()
  const db = new Database(join(dir, 'conversations.sqlite'))
  db.prepare('UPDATE thread_checkpoints SET body = ?').run(Buffer.from('{"torn'))
  db.close()
  const service = await startApp(t, { dir })
  t.match(await service.request({ method: 'DELETE', url: `/api/sessions/${session_id}` }), { status: 200 })
  t.match((await service.say('Hello')).body.message, /^You said: Hello/)
})
