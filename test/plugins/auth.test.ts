import t from 'tap'
import { startApp } from '../fixtures/app.ts'

t.test('with a key configured, only its bearer gets in', async t => {
  const service = await startApp(t, { env: { API_KEY: 'correct-horse' } })
  const body = { user_id: 'ann', message: 'Hello' }
  for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: 'correct-horse' }, { 'x-api-key': 'correct-horse ' + 'x' }]) {
    const refused = await service.chat(body, { ...headers })
    t.match(refused, { status: 401, headers: { 'www-authenticate': 'Bearer' }, body: { code: 'KEY_REFUSED', status: 'error' } })
    t.notMatch(JSON.stringify(refused.body), 'horse')
  }
  t.equal((await service.get('/api/sessions')).status, 401)
  t.equal((await service.chat(body, { authorization: 'Bearer correct-horse' })).status, 200)
  t.equal((await service.chat(body, { 'x-api-key': 'correct-horse' })).status, 200)
  t.equal((await service.get('/')).status, 200)
})

t.test('without a key configured, anybody may call', async t => {
  const service = await startApp(t)
  t.equal((await service.say('Hello')).status, 200)
})
