import { test } from 'tap'
import {
  Config, formatRefusal, mergeEnvironment, resolveConversationsPath, SECRET_SETTINGS, selectSettings
} from '../src/config.ts'

test('the environment wins over the .env file', async t => {
  t.same(mergeEnvironment('PORT=1\nHOST=::1', { PORT: '2' }), { PORT: '2', HOST: '::1' })
})

test('an empty or blank value counts as not set, and hides no value of the other source', async t => {
  t.same(mergeEnvironment('PORT=1\nHOST=\nMODEL="  "', { PORT: '', HOST: ' \t', DEBUG: undefined }), { PORT: '1' })
})

test('a .env file is read with quotes, comments, export, CRLF and a BOM', async t => {
  t.same(mergeEnvironment('\uFEFFHOST="a b"\r\n# no\r\nexport PORT=1 # yes\r\nMODEL=openai:x\r\n', {}), { HOST: 'a b', PORT: '1', MODEL: 'openai:x' })
})

test('white space around a value does not count', async t => {
  t.same(mergeEnvironment('', { SESSIONS_FSYNC: 'never\r', PORT: ' 80 ' }), { SESSIONS_FSYNC: 'never', PORT: '80' })
})

test('merging leaves the given environment as it was', async t => {
  const env = Object.freeze({ PORT: '' })
  t.same(mergeEnvironment('PORT=1', env), { PORT: '1' })
  t.same(env, { PORT: '' })
})

test('a variable with the name of an object\'s own machinery is a variable like any other', async t => {
  const merged = mergeEnvironment('__proto__=x\nconstructor=y', {})
  t.equal(Object.getPrototypeOf(merged), Object.prototype)
  t.same(selectSettings(merged), {})
})

test('only settings are selected from the environment', async t => {
  t.same(selectSettings({ PATH: '/bin', PORT: '1', HOST: undefined }), { PORT: '1' })
})

test('a boolean is understood in every usual word and any case', async t => {
  for (const word of ['true', 'TRUE', '1', 'yes', 'Yes', 'on', 'ON']) t.same(selectSettings({ DEBUG: word }), { DEBUG: 'true' }, word)
  for (const word of ['false', 'False', '0', 'no', 'NO', 'off', 'Off']) t.same(selectSettings({ DEBUG: word }), { DEBUG: 'false' }, word)
  t.same(selectSettings({ DEBUG: 'maybe' }), { DEBUG: 'maybe' })
})

test('a word for a boolean stays a word in a setting that is a text', async t => {
  t.same(selectSettings({ HOST: 'on', SESSIONS_CSV_PATH: '1' }), { HOST: 'on', SESSIONS_CSV_PATH: '1' })
})

test('a number that is not finite never reaches the validator, which would let it pass', async t => {
  for (const word of ['Infinity', '-Infinity', '1e400', 'abc']) t.same(selectSettings({ CLEANUP_INTERVAL_MINUTES: word }), { CLEANUP_INTERVAL_MINUTES: 'NaN' }, word)
})

test('every key is a secret, and so is an address that bears a password', async t => {
  t.same([...SECRET_SETTINGS].sort(), Object.keys(Config.properties).filter(name => /_(KEY|HEADERS)$|^(DATABASE|REDIS)_URL$/.test(name)).sort())
  t.ok(SECRET_SETTINGS.has('API_KEY'))
})

test('every setting has a text of one line', async t => {
  for (const [name, schema] of Object.entries(Config.properties)) t.match(schema.description, /^[^\n]{10,}$/, name)
})

test('a refusal names the setting, what it may be and what it was', async t => {
  t.equal(formatRefusal('PORT', 'abc'), 'PORT must be an integer from 0 to 65535, received "abc"')
  t.equal(formatRefusal('MAX_QUEUED_TURNS', '-1'), 'MAX_QUEUED_TURNS must be an integer of at least 0, received "-1"')
  t.equal(formatRefusal('AGENT_TIMEOUT_SECONDS', '0'), 'AGENT_TIMEOUT_SECONDS must be a number above 0 and at most 3600, received "0"')
  t.equal(formatRefusal('SESSIONS_FSYNC', 'no'), 'SESSIONS_FSYNC must be always or never, received "no"')
  t.equal(formatRefusal('DEBUG', '2'), 'DEBUG must be true or false (or 1, 0, yes, no, on, off), received "2"')
  t.equal(formatRefusal('MODEL', 'gpt'), 'MODEL must be provider:model or provider/model, received "gpt"')
  t.equal(formatRefusal('CONVERSATIONS_PATH', ''), 'CONVERSATIONS_PATH must be a text, received ""')
  t.equal(formatRefusal('HOST', undefined), 'HOST must be an address or a host name, received nothing')
  t.equal(formatRefusal('OTHER', 'x'), 'OTHER must be left out, received "x"')
})

test('a refusal never shows a secret, nor what looks like one', async t => {
  const hidden = [
    ['API_KEY', 'my key'], ['OPENAI_API_KEY', 'my key'], ['ANTHROPIC_API_KEY', 'my key'],
    ['OPENAI_BASE_URL', 'ftp://me:secret@host'], ['OLLAMA_BASE_URL', 'me:secret@host'], ['OPENAI_BASE_URL', 'ftp://host/?key=secret'],
    ['MODEL', 'sk-secret'], ['PORT', 'sk-secret']
  ] as const
  for (const [name, value] of hidden) t.match(formatRefusal(name, value), / received a value that is not shown$/, `${name}=${value}`)
  t.match(formatRefusal('OLLAMA_BASE_URL', 'localhost:11434'), / received "localhost:11434"$/)
})

test('a refusal is one line of bounded length, whatever was received', async t => {
  const line = formatRefusal('HOST', `a\nb\r\u2028\u0085\u001b[31m${'x'.repeat(10_000)}`)
  t.notMatch(line, /[\p{Cc}\p{Zl}\p{Zp}]/u)
  t.ok(line.length < 250)
})

test('conversations are kept beside the sessions, unless another path is set', async t => {
  t.equal(resolveConversationsPath({ SESSIONS_CSV_PATH: 'sessions.csv' }), 'conversations.sqlite')
  t.equal(resolveConversationsPath({ SESSIONS_CSV_PATH: '/data/sessions.csv' }), '/data/conversations.sqlite')
  t.equal(resolveConversationsPath({ SESSIONS_CSV_PATH: '/data/sessions.csv', CONVERSATIONS_PATH: 'c.db' }), 'c.db')
})
