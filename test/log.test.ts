import t from 'tap'
import { makeErrorSerializer } from '../src/log.ts'
import { startApp } from './fixtures/app.ts'

const KEY = 'sk-1234567890'

/** As the HTTP clients of providers throw them. */
function makeHttpError (): Error {
  const cause = Object.assign(new Error(`Incorrect API key: ${KEY}`), { code: 'ERR_BAD_REQUEST', config: { headers: { Authorization: `Bearer ${KEY}` } } })
  return Object.assign(new TypeError('Request failed', { cause }), { request: { path: '/?key=hidden' }, status: 401 })
}

t.test('of an error the log shows its type, message, stack, code and cause, and nothing else, without secrets', async t => {
  const logged = makeErrorSerializer([KEY, '', 'a'])(makeHttpError())
  t.match(logged, {
    type: 'TypeError', message: 'Request failed', stack: /Request failed/, cause: { type: 'Error', code: 'ERR_BAD_REQUEST', message: 'Incorrect API key: [secret]' }
  })
  t.same(Object.keys(logged).sort(), ['cause', 'message', 'stack', 'type'])
  t.notMatch(JSON.stringify(logged), KEY)
  t.notMatch(JSON.stringify(logged), 'hidden')
})

t.test('a cause that is its own cause comes to an end, and what is no error is told without its content', async t => {
  const error = new Error('Round and round')
  error.cause = error
  const describe = makeErrorSerializer([])
  t.equal(JSON.stringify(describe(error)).match(/"message"/g)?.length, 9)
  t.same(describe({ secret: 1 }), { type: 'object', message: 'What was thrown is no error', stack: '' })
  t.equal(describe('Text').message, 'Text')
})

t.test('the service logs errors so, in every line', async t => {
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { env: { OPENAI_API_KEY: KEY }, logged })
  service.app.agent.pending = async () => { throw makeHttpError() }
  t.equal((await service.say('Hello')).status, 500)
  const line = logged.find(({ level }) => level === 50)
  t.match(line, { err: { type: 'TypeError', message: 'Request failed' } })
  t.notMatch(JSON.stringify(logged), KEY)
  t.notMatch(JSON.stringify(logged), 'hidden')
})
