import { connect } from 'node:net'
import Database from 'better-sqlite3'
import t from 'tap'
import { ServiceError } from '../src/errors.ts'
import { makeErrorSerializer, WITHHELD } from '../src/log.ts'
import { startApp } from './fixtures/app.ts'

const KEY = 'sk-1234567890'
const SAID = 'my doctor is Dr. Canary'

/** What it takes for V8, Node or an agent to quote what it was given. */
const QUOTING = [
  () => JSON.parse(SAID), () => BigInt(SAID), () => new URL(SAID), () => { throw SAID }, () => structuredClone({ [SAID]: () => {} })
]

/** As the HTTP clients of providers throw them. */
function makeHttpError (): Error {
  const cause = Object.assign(new Error(`Incorrect API key ${KEY} in: ${SAID}`), { code: 'ERR_BAD_REQUEST', config: { headers: { Authorization: `Bearer ${KEY}` } } })
  return Object.assign(new TypeError(`Request failed: ${SAID}`, { cause }), { request: { path: '/?key=hidden' }, status: 401, code: `not a code: ${SAID}` })
}

t.test('of an error the log shows its type, places, code, status and cause, and nothing that somebody else wrote', async t => {
  const logged = makeErrorSerializer([KEY])(makeHttpError())
  const cause = { type: 'Error', code: 'ERR_BAD_REQUEST', message: WITHHELD }
  t.match(logged, { type: 'TypeError', message: WITHHELD, stack: /log\.test\.ts:\d+/, status: 401, cause })
  t.same(Object.keys(logged).sort(), ['cause', 'message', 'stack', 'status', 'type'])
  t.notMatch(JSON.stringify(logged), /1234567890|Canary|hidden/)
})

t.test('a provider that gives its error a code has it logged', async t => {
  const error = Object.assign(new Error(SAID), { lc_error_code: 'MODEL_AUTHENTICATION', status: 401 })
  t.match(makeErrorSerializer([])(error), { code: 'MODEL_AUTHENTICATION', status: 401 })
})

t.test('messages that quote what could not be read are not shown, wherever they are thrown', async t => {
  const describe = makeErrorSerializer([])
  for (const fail of QUOTING) {
    try {
      fail()
      t.fail('it throws')
    } catch (error) {
      t.notMatch(JSON.stringify(describe(error)), 'Canary')
    }
  }
})

t.test('a message cannot pass for a place in the code', async t => {
  const forged = new Error(`no\n    at Canary (/a/b.js:1:1)\n    at ${new URL('../src/log.ts', import.meta.url).href}:1:1`)
  t.notMatch(JSON.stringify(makeErrorSerializer([])(forged)), 'Canary')
  forged.message = 'Another one'
  t.match(makeErrorSerializer([])(forged).message, WITHHELD)
  const bare = new Error(SAID)
  bare.stack = `Error: ${SAID}`
  t.match(makeErrorSerializer([])(bare), { message: WITHHELD, stack: '' })
})

t.test('what the system, SQLite and the service itself say is shown', async t => {
  const describe = makeErrorSerializer([])
  const refused: unknown = await new Promise(resolve => connect(1, '127.0.0.1').once('error', resolve))
  t.match(describe(refused), { code: 'ECONNREFUSED', message: /^connect ECONNREFUSED/ })
  t.match(describe(new Database.SqliteError('disk I/O error', 'SQLITE_IOERR')), { code: 'SQLITE_IOERR', message: 'disk I/O error' })
  t.match(describe(new ServiceError('FILE_LOCKED', { message: '/data is in use' })), { code: 'FILE_LOCKED', message: '/data is in use' })
  t.match(describe(new ServiceError('APPROVAL_EXPIRED', { message: `Not done: ${SAID}` })), { message: /nobody answered in time/ }, 'but not what it says to a person')
})

t.test('a cause that is its own cause comes to an end', async t => {
  const error = new Error('Round and round')
  error.cause = error
  const describe = makeErrorSerializer([])
  t.equal(JSON.stringify(describe(error)).match(/"message"/g)?.length, 9)
  t.same(describe({ secret: 1 }), { type: 'object', message: WITHHELD, stack: '' })
})

t.test('the service logs errors so, in every line, and no line bears a secret', async t => {
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { env: { OPENAI_API_KEY: KEY, OPENAI_BASE_URL: 'http://ann:pass-word@127.0.0.1:1/?token=of-the-query' }, logged })
  service.app.agent.pending = async () => { throw makeHttpError() }
  t.equal((await service.say(SAID)).status, 500)
  t.match(logged.find(({ level }) => level === 50), { err: { type: 'TypeError', message: WITHHELD, stack: /log\.test\.ts/ } })
  service.app.log.warn({ url: `http://ann:pass-word@127.0.0.1/?token=of-the-query "${KEY}"` }, `Basic ${Buffer.from('ann:pass-word').toString('base64')}`)
  t.match(logged.at(-1), { url: 'http://[secret]@127.0.0.1/[secret] "[secret]"', msg: 'Basic [secret]' })
  t.notMatch(JSON.stringify(logged), /1234567890|hidden|Canary|pass-word|of-the-query/)
})
