import t from 'tap'
import { listSecrets, makeLineMask, makeMask } from '../src/secrets.ts'

t.test('secrets are the settings that are secret, each of a list too, and what addresses bear', async t => {
  t.same(listSecrets({ PORT: '8000', MODEL: 'openai:x', API_KEY: 'a', HOST: 'abc' }), ['a'])
  t.ok(['bot:first-key', 'second'].every(part => listSecrets({ API_KEY: 'bot:first-key,second' }).includes(part)))
  const url = listSecrets({ OPENAI_BASE_URL: 'http://an%40n:p%3As@host/v1?key=abcdef&other' })
  for (const part of ['an%40n:p%3As', 'an@n', 'p:s', 'p%3As', 'key=abcdef', 'abcdef', '?key=abcdef&other', Buffer.from('an@n:p:s').toString('base64')]) {
    t.ok(url.includes(part), part)
  }
  t.same(listSecrets({ OLLAMA_BASE_URL: 'http://127.0.0.1:11434' }), [])
  t.same(listSecrets({ OLLAMA_BASE_URL: 'http://%zz:ok@host' }).includes('%zz'), true, 'what cannot be decoded stands for itself')
})

t.test('of a database, the password is secret, and not a name that the server, the service and its files have too', async t => {
  const secrets = listSecrets({
    DATABASE_URL: 'postgres://postgres:p%3Aword@host/holdline?sslmode=require&sslpassword=another', REDIS_URL: 'redis://default:hush@host'
  })
  for (const part of ['p%3Aword', 'p:word', 'postgres:p%3Aword', 'another', 'hush', 'default:hush']) t.ok(secrets.includes(part), part)
  t.equal(makeMask(secrets)('SESSION_STORE must be csv or postgres, by default, sslmode=require'), 'SESSION_STORE must be csv or postgres, by default, sslmode=require')
  t.ok(listSecrets({ REDIS_URL: 'redis://mistaken@host' }).includes('mistaken'), 'a name alone may be a password in the wrong place')
})

t.test('headers that are secret are so by their values, as they are set and as they are sent', async t => {
  const headers = listSecrets({ OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20abcdef123, x-ingest=with%2Fa%20space,x-tenant=1' })
  for (const part of ['Bearer%20abcdef123', 'Bearer abcdef123', 'abcdef123', 'with%2Fa%20space', 'with/a space']) t.ok(headers.includes(part), part)
  t.notOk(headers.includes('1'))
})

t.test('what an agent of the user\'s knows is known by its name, or by its address', async t => {
  t.same(listSecrets({ TAVILY_API_KEY: 'tvly-123', SMTP_PASSWORD: 'hunter22', KEYBOARD: 'qwertz' }), ['tvly-123', 'hunter22'])
  t.ok(listSecrets({ DATABASE: 'postgres://app:long-word@db/x' }).includes('long-word'))
  t.same(listSecrets({ CACHE_KEY: '1', LINK: 'https://host/?page=2' }), [], 'what is short would be found everywhere')
})

t.test('the longest goes first, and a short one counts as a word alone', async t => {
  t.equal(makeMask(['secret-key', 'secret-key-2'])('secret-key-2 secret-key'), '[secret] [secret]')
  t.equal(makeMask(['ab', ''])('ab abc (ab) cab'), '[secret] abc ([secret]) cab')
  t.equal(makeMask(['a.b*c(d'])('a.b*c(d axb'), '[secret] axb')
  t.equal(makeMask([])('as it is'), 'as it is')
})

t.test('a line of the log stays JSON with its own fields, whatever a secret is', async t => {
  const mask = makeLineMask(['request_id', '{', 'quo"te\\d', '30'])
  const line = JSON.stringify({ level: 30, request_id: 'request_id', msg: 'a quo"te\\d b { c 30' })
  t.same(JSON.parse(mask(line)), { level: 30, request_id: '[secret]', msg: 'a [secret] b [secret] c [secret]' })
})
