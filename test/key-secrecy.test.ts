import t from 'tap'
import type { Answer } from './fixtures/app.ts'
import { makeFolder } from './fixtures/folder.ts'
import { Service } from './fixtures/service.ts'

t.test('a start that would let anybody in, or whose keys cannot be read, ends in one line that says what to set', async t => {
  const cases: [what: string, env: Record<string, string>, line: RegExp][] = [
    ['an open address without a key', { HOST: '0.0.0.0' }, /^API_KEY must be set to listen on 0\.0\.0\.0: API_KEY=<secret>, or AUTH=off to let anybody call\n$/],
    ['a bad list of keys', { API_KEY: 'hunter-two,bot:hunter-two' }, /^API_KEY must be (?!.*hunter).*key 2 has the secret of key 1\n$/]
  ]
  for (const [what, env, line] of cases) {
    const { code, stderr, log } = await Service.launch(t, makeFolder(t), env).exit
    t.equal(code, 1, what)
    t.match(stderr, line, what)
    t.notMatch(log, /Server listening|hunter/)
  }
})

t.test('a key reaches neither the log nor an answer, wherever it is sent', async t => {
  const secrets = ['hush-of-the-bot-0001', 'hush-of-the-boss-002']
  const [bot = '', boss = ''] = secrets
  const service = await Service.start(t, makeFolder(t), { HOST: '0.0.0.0', API_KEY: `bot:${bot},boss:${boss}:admin,short`, DEBUG: 'true' })
  const answers: Answer[] = []
  const send = async (path: string, headers: Record<string, string> = {}): Promise<number> => {
    answers.push(await service.request(path, { headers }))
    return answers.at(-1)?.status ?? 0
  }
  t.equal(await send('/api/sessions', { authorization: `Bearer ${boss}` }), 200)
  t.equal(await send('/api/sessions', { authorization: `Bearer ${bot}` }), 403)
  t.equal(await send('/api/sessions/ann', { 'x-api-key': bot }), 200)
  for (const path of ['/api/sessions', '/api/nowhere', '/api/sessions/ann']) t.equal(await send(`${path}?api_key=${boss}`), 401)
  t.equal(await send(`/health?api_key=${boss}`), 200)
  t.equal(await send('/api/sessions', { authorization: `Basic ${boss}` }), 401)
  t.equal(await send('/api/sessions', { authorization: `Bearer wrong-${boss}` }), 401)
  t.equal(await send(`/${boss}`, { authorization: `Bearer ${bot}` }), 404)
  t.equal((await service.post('/api/chat', { user_id: 'ann', message: 'Hello' }, { authorization: `Bearer ${bot}` })).status, 200)
  service.kill('SIGTERM')
  const { log, stderr } = await service.exit
  t.match(log, '"key":"bot"')
  t.match(log, '"code":"KEY_REFUSED"')
  t.match(log, 'key 3 (chat, approve)')
  t.notMatch(log + stderr, /hush|short"/)
  t.notMatch(JSON.stringify(answers.filter(({ status }) => status !== 404)), 'hush')
})
