import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startApp, type TestApp } from './fixtures/app.ts'
import { noSmallDisk, SmallDisk } from './fixtures/small-disk.ts'

if (noSmallDisk !== false) t.comment(`Tests on a full disk are left out: ${noSmallDisk}`)

async function startOnSmallDisk (t: Test) {
  const disk = SmallDisk.mount(t)
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { dir: disk.folder, env: { CONVERSATIONS_PATH: join(disk.dir, 'conversations.sqlite') }, logged })
  return { disk, service, logged }
}

async function recover (service: TestApp): Promise<void> {
  while ((await service.get('/health')).status !== 200) await setTimeout(20)
}

t.test('a full disk under the conversations is said, and sessions are served; with room again the service goes on', { skip: noSmallDisk }, async t => {
  const { disk, service, logged } = await startOnSmallDisk(t)
  const { body: { session_id } } = await service.say('kept')
  disk.fill()
  const refused = await service.say('lost')
  t.match(refused, { status: 503, body: { code: 'CONVERSATIONS_UNAVAILABLE', status: 'error', session_id } })
  t.ok(Number(refused.headers['retry-after']) > 0)
  t.match(await service.say('lost before it reaches the agent'), { status: 503, body: { code: 'CONVERSATIONS_UNAVAILABLE' } })
  t.match(await service.get('/health'), {
    status: 503,
    body: {
      status: 'degraded',
      reason: 'conversations cannot be saved: no space left',
      store: { can_save: true },
      agent: { can_save: false },
      active_sessions: 1
    }
  })
  t.match(await service.get('/health/ready'), { status: 503, body: { reason: /conversations cannot be saved/ } })
  t.match(await service.get('/health/live'), { status: 200 })
  t.match(await service.get('/api/sessions'), { status: 200, body: { active_sessions: [{ session_id }] } })
  t.match(await service.get(`/api/sessions/${session_id}/messages`), { status: 503, body: { code: 'CONVERSATIONS_UNAVAILABLE' } })
  disk.free()
  await recover(service)
  t.match(await service.get('/health/ready'), { status: 200 })
  t.match(await service.say('what did I say first?'), { status: 200, body: { session_id, message: /^You said first: "kept"/ } })
  const { body: { messages } } = await service.get(`/api/sessions/${session_id}/messages`)
  t.same(messages.map(message => message.role), ['user', 'assistant', 'user', 'assistant'])
  const said = logged.filter(line => String(line.msg).startsWith('Conversations can'))
  t.match(said, [
    { level: 50, msg: 'Conversations cannot be saved: no space left', err: { code: 'SQLITE_FULL' } },
    { level: 30, msg: 'Conversations can be saved again' }
  ])
  t.equal(said.length, 2)
})

t.test('a yes that the full disk cut off is told, and asked again', { skip: noSmallDisk }, async t => {
  const { disk, service } = await startOnSmallDisk(t)
  const { body: { session_id } } = await service.say('note: milk')
  disk.fill()
  t.match(await service.say('yes'), { status: 503, body: { code: 'CONVERSATIONS_UNAVAILABLE' } })
  disk.free()
  await recover(service)
  t.match(await service.say('hello?'), { status: 200, body: { session_id, status: 'waiting_approval', message: /may or may not have happened/ } })
  t.match(await service.say('yes'), { status: 200, body: { status: 'completed' } })
  t.match(await service.say('notes'), { body: { message: /^Your notes:\n1\. milk\n\(/ } })
})

t.test('a service that stops while the disk is full ends without an error, and the next one has everything', { skip: noSmallDisk }, async t => {
  const { disk, service } = await startOnSmallDisk(t)
  await service.say('kept')
  disk.fill()
  t.match(await service.say('lost'), { status: 503 })
  await service.app.close()
  disk.free()
  const next = await startApp(t, { dir: service.dir, env: { CONVERSATIONS_PATH: join(disk.dir, 'conversations.sqlite') } })
  t.match(await next.say('what did I say first?'), { status: 200, body: { message: /^You said first: "kept"/ } })
})
