import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import t from 'tap'
import { startApp, type Answer, type TestApp } from '../fixtures/app.ts'
import { makeFolder } from '../fixtures/folder.ts'

const BODY = { user_id: 'ann', message: 'Hello' }

function bearer (secret: string): Record<string, string> {
  return { authorization: `Bearer ${secret}` }
}

/** What an answer tells, without what is of its request alone. */
function strip ({ status, headers, body }: Answer): object {
  const { date: _date, 'x-request-id': _id, 'content-length': _length, ...others } = headers
  return { status, headers: others, body: { ...body, request_id: '' } }
}

async function wrong (service: TestApp, remoteAddress: string, sent = bearer('wrong')): Promise<Answer> {
  return await service.request({ method: 'GET', url: '/api/sessions', headers: sent, remoteAddress })
}

t.test('with a key configured, only its bearer gets in', async t => {
  const service = await startApp(t, { env: { API_KEY: 'correct-horse' } })
  for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: 'correct-horse' }, { 'x-api-key': 'correct-horse ' + 'x' }]) {
    const refused = await service.chat(BODY, { ...headers })
    t.match(refused, { status: 401, headers: { 'www-authenticate': 'Bearer' }, body: { code: 'KEY_REFUSED', status: 'error' } })
    t.notMatch(JSON.stringify(refused.body), 'horse')
  }
  t.equal((await service.get('/api/sessions')).status, 401)
  t.equal((await service.chat(BODY, bearer('correct-horse'))).status, 200)
  t.equal((await service.chat(BODY, { authorization: 'bearer  correct-horse ' })).status, 200)
  t.equal((await service.chat(BODY, { 'x-api-key': 'correct-horse' })).status, 200)
  t.equal((await service.get('/')).status, 200)
})

t.test('without a key configured, no page gets in through a name that leads to this machine', async t => {
  const ask = async (service: TestApp, host: string, headers = {}, url = '/api/sessions') => {
    return await service.request({ method: 'GET', url, headers: { host, ...headers } })
  }
  const service = await startApp(t)
  t.match(await ask(service, 'evil.example:8000'), { status: 401, body: { code: 'KEY_REFUSED', message: /API_KEY/ } })
  t.match(await service.chat(BODY, { host: 'evil.example' }), { status: 401, body: { code: 'KEY_REFUSED', status: 'error' } })
  t.equal((await ask(service, 'evil.example', { 'x-forwarded-host': 'localhost' })).status, 401)
  t.equal((await ask(service, 'evil.example', {}, '/health')).status, 200, 'what needs no key is nobody\'s')
  t.equal((await ask(service, 'localhost:8000')).status, 200)
  await service.app.close()
  const open = await startApp(t, { dir: service.dir, env: { AUTH: 'off' } })
  t.equal((await ask(open, 'bots.example')).status, 200)
  await open.app.close()
  const keyed = await startApp(t, { dir: service.dir, env: { API_KEY: 'correct-horse' } })
  t.equal((await ask(keyed, 'bots.example', bearer('correct-horse'))).status, 200)
})

t.test('without a key configured, anybody on this machine may call', async t => {
  const service = await startApp(t)
  t.equal((await service.say('Hello')).status, 200)
  t.equal((await service.get('/api/sessions')).status, 200)
})

t.test('a missing key and a wrong one cannot be told apart', async t => {
  const service = await startApp(t, { env: { API_KEY: 'correct-horse' } })
  const missing = strip(await service.chat(BODY))
  t.same(strip(await service.chat(BODY, bearer('wrong'))), missing)
  t.same(strip(await service.chat(BODY, { 'x-api-key': 'wrong' })), missing)
})

t.test('each of several keys gets in, one that is given as its digest by its secret alone', async t => {
  const hex = createHash('sha256').update('second').digest('hex')
  const service = await startApp(t, { env: { API_KEY: `bot:first,sha256:${hex}:chat` } })
  for (const secret of ['first', 'second']) t.equal((await service.chat(BODY, bearer(secret))).status, 200, secret)
  for (const wrong of ['bot', 'bot:first', hex, `sha256:${hex}`, 'chat', 'first,second']) t.equal((await service.chat(BODY, bearer(wrong))).status, 401, wrong)
})

t.test('a key is for what its scopes say and for nothing else', async t => {
  const service = await startApp(t, { env: { API_KEY: 'c:for-chat:chat,p:for-approve:approve,a:for-admin:admin' } })
  const { body: { session_id } } = await service.chat(BODY, bearer('for-chat'))
  const cases: [method: 'GET' | 'HEAD' | 'POST' | 'DELETE', url: string, scope: string][] = [
    ['POST', '/api/chat', 'chat'], ['GET', '/api/sessions/ann', 'chat'], ['HEAD', '/api/sessions/ann', 'chat'],
    ['GET', `/api/sessions/${session_id}/messages`, 'chat'], ['POST', `/api/sessions/${session_id}/cancel`, 'chat'],
    ['POST', '/api/approve', 'approve'],
    ['GET', '/api/sessions', 'admin'], ['HEAD', '/api/sessions', 'admin'], ['GET', '/api/sessions/count', 'admin'],
    ['DELETE', `/api/sessions/${session_id}`, 'admin']
  ]
  for (const [method, url, needed] of cases) {
    const ask = async (headers: Record<string, string>): Promise<number> => {
      return (await service.app.inject({ method, url, headers, ...(method === 'POST' && { payload: { user_id: 'ann' } }) })).statusCode
    }
    t.equal(await ask({}), 401, `${method} ${url} needs a key`)
    for (const scope of ['chat', 'approve', 'admin']) {
      if (scope !== needed) t.equal(await ask(bearer(`for-${scope}`)), 403, `${method} ${url} is not for ${scope}`)
    }
    t.notOk([401, 403].includes(await ask(bearer(`for-${needed}`))), `${method} ${url} is for ${needed}`)
  }
})

t.test('what needs no key needs none, whatever is sent', async t => {
  const service = await startApp(t, { env: { API_KEY: 'c:for-chat:chat' } })
  for (const url of ['/', '/health', '/health/live', '/health/ready']) {
    for (const headers of [{}, bearer('wrong'), bearer('for-chat')]) {
      t.equal((await service.request({ method: 'GET', url, headers: { ...headers } })).status, 200, url)
      t.equal((await service.app.inject({ method: 'HEAD', url, headers: { ...headers } })).statusCode, 200, `HEAD ${url}`)
    }
  }
})

t.test('a route that does not say what it needs, needs admin', async t => {
  const service = await startApp(t, {
    env: { API_KEY: 'c:for-chat:chat+approve,a:for-admin:admin' },
    prepare: app => { app.get('/api/forgotten', async () => ({})) }
  })
  const ask = async (secret: string): Promise<Answer> => await service.request({ method: 'GET', url: '/api/forgotten', headers: bearer(secret) })
  t.match(await ask('for-chat'), { status: 403, body: { code: 'KEY_SCOPE_MISSING', message: /admin/ } })
  t.equal((await ask('for-admin')).status, 200)
})

t.test('whether a route exists is told to those with a key alone', async t => {
  const service = await startApp(t, { env: { API_KEY: 'c:for-chat:chat' } })
  for (const url of ['/api/nowhere', '/nowhere', '/metrics/x']) {
    t.equal((await service.get(url)).status, 401)
    t.equal((await service.request({ method: 'GET', url, headers: bearer('for-chat') })).status, 404)
  }
})

t.test('a key in a URL is no key', async t => {
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { env: { API_KEY: 'correct-horse' }, logged })
  for (const name of ['api_key', 'apiKey', 'key', 'access_token', 'token', 'X-API-Key', 'authorization']) {
    for (const url of ['/api/sessions', '/api/nowhere']) t.equal((await service.get(`${url}?${name}=correct-horse`)).status, 401, name)
    t.equal((await service.get(`/api/sessions/%zz?${name}=correct-horse`)).status, 400)
  }
  t.notMatch(JSON.stringify(logged), 'horse')
})

t.test('after 30 requests without a valid key an address gets 429 for a minute, and a right key never does', async t => {
  let nowMs = Date.now()
  t.intercept(Date, 'now', { value: () => nowMs, configurable: true })
  const service = await startApp(t, { env: { API_KEY: 'correct-horse' } })
  for (let i = 0; i < 30; i++) t.equal((await wrong(service, '10.0.0.1', i % 2 === 0 ? {} : bearer('wrong'))).status, 401)
  for (const sent of [bearer('wrong'), {}]) {
    const refused = await wrong(service, '10.0.0.1', { ...sent })
    t.match(refused, { status: 429, body: { code: 'KEY_ATTEMPTS_EXCEEDED', error: 'Too Many Requests' } })
    t.match(refused.headers['retry-after'], /^(?:[1-9]|[1-5]\d|60)$/)
  }
  t.equal((await wrong(service, '10.0.0.1', bearer('correct-horse'))).status, 200)
  t.equal((await wrong(service, '10.0.0.2')).status, 401, 'another address has its own')
  nowMs += 59_999
  t.equal((await wrong(service, '10.0.0.1')).status, 429)
  nowMs += 1
  t.equal((await wrong(service, '10.0.0.1')).status, 401)
})

t.test('the addresses of one IPv6 network are one, and an IPv4 address is itself in IPv6', async t => {
  const service = await startApp(t, { env: { API_KEY: 'correct-horse' } })
  for (let i = 0; i < 30; i++) await wrong(service, `2001:db8::${i.toString(16)}`)
  t.equal((await wrong(service, '2001:db8:0:0:ffff::1')).status, 429)
  t.equal((await wrong(service, '2001:db8:0:1::1')).status, 401)
  for (let i = 0; i < 30; i++) await wrong(service, '10.0.0.1')
  t.equal((await wrong(service, '::ffff:10.0.0.1')).status, 429)
})

t.test('one who hangs up before the answer is refused like any other', async t => {
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { env: { API_KEY: 'correct-horse' }, logged })
  const url = await service.listen()
  // Of another process, while this one is held up: they have gone by the time that they are read.
  const hangUp = `
    const socket = require('node:net').connect(${new URL(url).port}, '127.0.0.1', () => {
      socket.write('GET /api/sessions HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n', () => { socket.resetAndDestroy() })
    })`
  t.equal(spawnSync(process.execPath, ['-e', hangUp]).status, 0)
  t.equal((await fetch(`${url}/api/sessions`)).status, 401)
  const refused = logged.filter(({ level, msg }) => msg === 'Request refused' || level === 50)
  t.same(refused.map(({ code }) => code), ['KEY_REFUSED', 'KEY_REFUSED'])
  t.match(refused[1], { address: '127.0.0.1' })
})

t.test('a key that lacks a scope is no failed attempt', async t => {
  const service = await startApp(t, { env: { API_KEY: 'c:for-chat:chat' } })
  for (let i = 0; i < 40; i++) t.equal((await wrong(service, '10.0.0.1', bearer('for-chat'))).status, 403)
})

t.test('no number of requests without a key fills the log, which tells how many it did not tell of', async t => {
  const logged: Record<string, unknown>[] = []
  let nowMs = Date.now()
  const service = await startApp(t, { env: { API_KEY: 'k:correct-horse-battery:admin' }, logged, now: () => nowMs })
  const before = logged.length
  for (let i = 0; i < 100; i++) await wrong(service, `10.0.${i}.1`)
  for (let i = 0; i < 100; i++) await service.get('/api/sessions/%zz')
  t.match(logged[before], { msg: 'Request refused', code: 'KEY_REFUSED', address: '10.0.0.1' })
  t.equal(logged.length - before, 61)
  t.match(logged.at(-1), { level: 40, msg: /not logged/ })
  await service.request({ method: 'GET', url: '/api/sessions?limit=0', headers: bearer('correct-horse-battery') })
  t.match(logged.at(-1), { msg: 'Request refused', code: 'REQUEST_INVALID', key: 'k' }, 'what is refused to a key is told')
  nowMs += 60_000
  await wrong(service, '10.0.0.1')
  t.match(logged.slice(-2), [{ level: 40, withheld: 140 }, { msg: 'Request refused' }])
})

t.test('the log names the key of a turn by its name, and never shows one', async t => {
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { env: { API_KEY: 'bot:correct-horse-battery,staple-of-the-horse' }, logged })
  await service.chat(BODY, bearer('correct-horse-battery'))
  t.match(logged.find(({ msg }) => msg === 'Turn ended'), { key: 'bot' })
  logged.length = 0
  await service.chat(BODY, bearer('staple-of-the-horse'))
  t.notOk('key' in (logged.find(({ msg }) => msg === 'Turn ended') ?? {}))
  // As the system's own are, its message is logged.
  const failure = Object.assign(new Error('Refused: correct-horse-battery, staple-of-the-horse'), { code: 'EACCES', syscall: 'open' })
  service.app.agent.pending = async () => { throw failure }
  t.equal((await service.chat(BODY, bearer('correct-horse-battery'))).status, 500)
  t.match(logged.at(-1), { err: { message: 'Refused: [secret], [secret]' } })
  t.notMatch(JSON.stringify(logged), /horse|battery|staple/)
})

t.test('the start tells which keys there are, by name or place, and which are weak', async t => {
  const logged: Record<string, unknown>[] = []
  await startApp(t, { env: { API_KEY: `bot:${'x'.repeat(16)}:chat,hush-hush,sha256:${'0'.repeat(64)}:admin` }, logged })
  t.ok(logged.some(({ msg }) => msg === '3 API keys may call: bot (chat), key 2 (chat, approve), key 3 (admin)'))
  t.match(logged.filter(({ level, msg }) => level === 40 && /API key/.test(String(msg))), [{ key: 'key 2', msg: /guessed/ }])
  t.notMatch(JSON.stringify(logged), /hush|xxx|000/)
})

t.test('without a key, an address that others reach is refused, or served by name with a warning', async t => {
  const line = 'API_KEY must be set to listen on 0.0.0.0: API_KEY=<secret>, or AUTH=off to let anybody call'
  await t.rejects(startApp(t, { env: { HOST: '0.0.0.0' } }), { code: 'SETTING_INVALID', message: line })
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { dir: makeFolder(t), env: { HOST: '0.0.0.0', AUTH: 'off' }, logged })
  t.match(logged.filter(({ msg }) => /AUTH=off/.test(String(msg))), [{ level: 40, msg: /0\.0\.0\.0/ }])
  t.equal((await service.say('Hello')).status, 200)
})
