import type { InjectOptions } from 'fastify'
import t, { type Test } from 'tap'
import { startApp, type TestApp } from './fixtures/app.ts'

type Method = 'GET' | 'POST' | 'DELETE'

const DEEP = 100_000
/** Values of a wrong type, or of a right one that goes too far. */
const VALUES: Readonly<Record<string, string>> = {
  number: '1',
  'a number beyond all bounds': '1e999',
  'a number of many digits': '9'.repeat(400),
  boolean: 'true',
  null: 'null',
  array: '[]',
  'an array of itself': '[[["x"]]]',
  object: '{}',
  empty: '""',
  'a text that is long': `"${'x'.repeat(100_000)}"`,
  NUL: '"\\u0000"',
  'half a surrogate pair': '"\\ud800"',
  'line ends': '"a\\r\\nX-Evil: 1\\r\\n\\r\\n"',
  'a formula': '"=cmd|\' /C calc\'!A0"',
  'a path': '"../../../etc/passwd"',
  'a template': '"$' + '{7*7}{{7*7}}%s%n"',
  SQL: '"\' OR 1=1; DROP TABLE threads; --"',
  'what turns writing': '"\\u202e\\u2066"',
  'its prototype': '{"__proto__":{"polluted":1}}',
  'its prototype, escaped': '{"\\u005f\\u005fproto\\u005f\\u005f":{"polluted":1}}',
  'its constructor': '{"constructor":{"prototype":{"polluted":1}}}',
  'names of methods': '{"toString":1,"hasOwnProperty":2,"constructor":3,"then":4,"toJSON":5}',
  'a reserved object': '{"lc":1,"type":"constructor","id":["langchain","nope","Nope"],"kwargs":{}}',
  'deep objects': `${'{"a":'.repeat(30_000)}1${'}'.repeat(30_000)}`,
  'deep arrays': `${'['.repeat(DEEP)}${']'.repeat(DEEP)}`
}
const FIELDS = [
  'user_id', 'message', 'platform', 'metadata', 'session_id', 'approval_id', 'approved', 'decisions', 'resume', 'user_profile', 'edited_args', 'unknown', '__proto__'
]
const BODIES: Readonly<Record<string, string | Buffer>> = {
  nothing: '',
  'no JSON': '{"user_id":',
  null: 'null',
  array: '[]',
  text: '"text"',
  number: '5',
  'open brackets': '['.repeat(DEEP),
  'no UTF-8': Buffer.from('{"user_id":"\xe9","message":"x"}', 'latin1'),
  'UTF-16': Buffer.from('{"user_id":"ann","message":"x"}', 'utf16le'),
  'a BOM': '\ufeff{"user_id":"ann","message":"x"}',
  'a name twice': '{"user_id":"bob","user_id":"ann","message":"x"}',
  'too much': `{"user_id":"ann","message":"x","more":"${'x'.repeat(300 * 1024)}"}`
}
const TYPES = [
  'text/plain', 'multipart/form-data; boundary=x', 'application/x-www-form-urlencoded', 'application/json; charset=utf-16', 'application/xml', 'application/json, text/plain',
  'a', ';', '*/*', 'application/vnd.api+json', 'Application/JSON'
]
const HEADERS: readonly Readonly<Record<string, string>>[] = [
  { 'x-request-id': 'a b' }, { 'x-request-id': '<script>' }, { 'x-request-id': 'x'.repeat(5000) },
  { 'idempotency-key': '' }, { 'idempotency-key': 'x'.repeat(256) }, { 'idempotency-key': 'é' }, { 'idempotency-key': '__proto__' },
  { 'last-event-id': '__proto__:1' }, { 'last-event-id': ':' }, { 'last-event-id': 'x'.repeat(9000) }, { 'last-event-id': '00000000-0000-4000-8000-000000000000:-1' },
  { accept: 'text/event-stream;q=2, ,;' }, { accept: ','.repeat(8000) }, { authorization: 'Bearer' }, { authorization: `Basic ${'='.repeat(5000)}` },
  { 'x-forwarded-for': '127.0.0.1, ::1, evil' }, { 'x-forwarded-host': 'evil' }, { 'x-forwarded-proto': 'javascript' }, { forwarded: 'for=127.0.0.1' },
  { host: 'evil/../..' }, { cookie: '__proto__=1' }, { range: 'bytes=0-1' }, { 'content-encoding': 'gzip' }, { 'x-http-method-override': 'DELETE' }
]
const IDS = [
  '..', '.', '%2e%2e', '%2e%2e%2f%2e%2e%2fetc%2fpasswd', '..%5c..%5cwindows', '%00', 'a%00b', '%0d%0aX-Evil:%201', '%0a', '%2f', '%252e%252e', '__proto__', 'constructor',
  'toString', 'count', 'x'.repeat(129), 'x'.repeat(2000), '%e2%80%ae', '%F0%9F%91%8D', '%ff', '%c0%ae', '%', '%zz', '%u002e', '*', ';a=b', '%20', "'%20OR%201=1--", '{}', '[object%20Object]'
]
const QUERIES = [
  'limit=0', 'limit=-1', 'limit=1e3', 'limit=1001', 'limit=1&limit=2', 'limit[]=1', 'limit=%00', 'cursor=', 'cursor=x', 'cursor=%7B%7D', `cursor=${'x'.repeat(5000)}`,
  'cursor=bnVsbA', 'cursor=W10', 'platform=API', 'platform=__proto__', 'platform=..%2f', 'pending=1', 'pending=true&pending=false', '__proto__=1', '__proto__[polluted]=1',
  'constructor.prototype.polluted=1', '&&&=&=', '%', '%zz', `${'a=b&'.repeat(3000)}`
]

/** A service, all its routes as it reports them itself, and a person whom the others leave alone. */
async function startAttacked (t: Test) {
  const service = await startApp(t)
  await service.chat({ user_id: 'victim', message: 'note: keep this' })
  const before = await look(service)
  const routes = (await service.get('/')).body.endpoints.map(endpoint => {
    const [method = '', path = ''] = endpoint.split(' ')
    return { method: readMethod(method), path }
  })
  t.ok(routes.length >= 11, 'the routes are known')
  return { service, before, routes }
}

function readMethod (method: string): Method {
  if (method === 'GET' || method === 'POST' || method === 'DELETE') return method
  throw new Error(`No attack on ${method} is known`)
}

/** What there is of the victim. */
async function look (service: TestApp): Promise<unknown> {
  const { sessions } = (await service.get('/api/sessions/victim')).body
  const { messages } = (await service.get(`/api/sessions/${sessions[0]?.session_id}/messages`)).body
  return JSON.parse(JSON.stringify({ sessions, messages }))
}

/** Sends what a route does not expect: it is no failure of the service, and an error is in the form of every error. */
async function attack (t: Test, { app }: TestApp, what: string, options: InjectOptions): Promise<void> {
  const response = await app.inject(options)
  const { statusCode: status, headers } = response
  const problem = describeProblem(status, headers, response.body)
  // One line for each of some thousand would hide the others.
  if (problem !== undefined) t.fail(`${what}: ${problem}`, { status, body: response.body.slice(0, 500) })
}

function describeProblem (status: number, headers: Readonly<Record<string, unknown>>, text: string): string | undefined {
  if (status >= 500) return 'the service failed'
  if (typeof headers['x-request-id'] !== 'string' || !/^[\w.:-]{1,128}$/.test(headers['x-request-id'])) return 'no request id'
  if (headers['x-evil'] !== undefined) return 'a header was forged'
  if (status < 400) return undefined
  if (headers['content-type'] !== 'application/json; charset=utf-8') return 'an error that is no JSON'
  const body: unknown = JSON.parse(text)
  if (typeof body !== 'object' || body === null) return 'an error that is no object'
  const wrong = ['statusCode', 'code', 'error', 'message', 'request_id'].filter(name => !Object.hasOwn(body, name))
  if (wrong.length > 0) return `an error without ${wrong.join(', ')}`
  if (Reflect.get(body, 'request_id') !== headers['x-request-id']) return 'another request id than the header\'s'
  return /node_modules|\/src\/|at \w+ \(/.test(text) ? 'an error that shows the code' : undefined
}

async function checkIntact (t: Test, service: TestApp, before: unknown): Promise<void> {
  t.same(await look(service), before, 'the other person\'s session is as it was')
  t.equal(Reflect.get({}, 'polluted'), undefined, 'no prototype is polluted')
  t.match(await service.get('/health'), { status: 200 })
  t.match((await service.chat({ user_id: 'victim', message: 'yes' })).body, { status: 'completed', message: /keep this/ })
}

const fill = (path: string, id: string): string => path.replace(/:\w+/, id)

t.test('no body does harm, on any route: wrong types, extra fields, prototypes, depth, size, encodings', async t => {
  const { service, before, routes } = await startAttacked(t)
  const base = { user_id: '"mallory"', message: '"Hello"', session_id: undefined }
  for (const { method, path } of routes.filter(route => route.method !== 'GET')) {
    const url = fill(path, 'nobody')
    const send = async (what: string, payload: string | Buffer, contentType = 'application/json') => {
      await attack(t, service, `${method} ${path}: ${what}`, { method, url, payload, headers: { 'content-type': contentType } })
    }
    for (const field of FIELDS) {
      for (const [what, value] of Object.entries(VALUES)) {
        const fields = Object.entries({ ...base, [field]: value }).filter(([, text]) => text !== undefined)
        // Not of an object literal: that would set the prototype.
        if (field === '__proto__') fields.push([field, value])
        await send(`${field}: ${what}`, `{${fields.map(([name, text]) => `"${name}":${text}`).join(',')}}`)
      }
    }
    for (const [what, body] of Object.entries(BODIES)) await send(what, body)
    for (const type of TYPES) await send(type, '{"user_id":"mallory","message":"Hello"}', type)
  }
  await checkIntact(t, service, before)
})

t.test('no path, query or header does harm, on any route', async t => {
  const { service, before, routes } = await startAttacked(t)
  for (const { method, path } of routes) {
    const payload = method === 'POST' ? { payload: { user_id: 'mallory', message: 'Hello' } } : {}
    for (const id of path.includes(':') ? IDS : ['']) await attack(t, service, `${method} ${path} ${id}`, { method, url: fill(path, id), ...payload })
    for (const query of QUERIES) await attack(t, service, `${method} ${path}?${query}`, { method, url: `${fill(path, 'nobody')}?${query}`, ...payload })
    for (const headers of HEADERS) {
      await attack(t, service, `${method} ${path} ${JSON.stringify(headers).slice(0, 60)}`, { method, url: fill(path, 'nobody'), headers, ...payload })
    }
    for (const other of ['HEAD', 'OPTIONS', 'PUT', 'PATCH', 'TRACE'] as const) {
      const { headers, statusCode } = await service.app.inject({ method: other, url: fill(path, 'nobody') })
      t.ok(statusCode < 500 && typeof headers['x-request-id'] === 'string', `${other} ${path}`)
    }
  }
  await checkIntact(t, service, before)
})

t.test('nobody reaches another person\'s session, and none of these ways shows that it is there', async t => {
  const { service, before } = await startAttacked(t)
  const [session] = (await service.get('/api/sessions/victim')).body.sessions
  const session_id = session?.session_id
  const approval_id: unknown = session?.pending_approval?.approval_id
  const ask = async (path: string, id: unknown, more: object) => {
    const { status, body: { user_id: _user, session_id: _session, request_id: _request, ...body } } = await service.request(
      { method: 'POST', url: path, payload: { user_id: 'mallory', session_id: id, ...more } })
    return { status, body }
  }
  const ways: [string, object][] = [
    ['/api/chat', { message: 'yes' }], ['/api/chat', { message: '/new' }], ['/api/chat', { message: 'yes', approval_id }],
    ['/api/chat', { message: 'yes', platform: 'api' }], ['/api/chat', { message: 'Hello', metadata: { message_id: '1' } }],
    ['/api/approve', { approved: true }], ['/api/approve', { approved: true, approval_id }], ['/api/approve', { approved: false, message: 'no' }],
    ['/api/approve', { decisions: [{ type: 'approve' }] }], ['/api/approve', { resume: 'yes' }], ['/api/approve', { approved: true, user_profile: { name: 'Eve' } }]
  ]
  for (const [path, more] of ways) {
    const theirs = await ask(path, session_id, more)
    t.equal(theirs.status, 404)
    t.same(theirs, await ask(path, '00000000-0000-4000-8000-000000000000', more), 'as one that does not exist')
  }
  t.same(await look(service), before)
  // A repeat of another person's key, and the id of an event of another person's turn.
  const mine = await service.chat({ user_id: 'victim', message: 'Hello' }, { 'idempotency-key': 'k' })
  const theirs = await service.chat({ user_id: 'mallory', message: 'Hello' }, { 'idempotency-key': 'k' })
  t.not(theirs.body.session_id, mine.body.session_id)
  t.equal(theirs.headers['idempotency-replayed'], undefined)
  const stream = await service.app.inject({ method: 'POST', url: '/api/chat', payload: { user_id: 'victim', message: 'Hello' }, headers: { accept: 'text/event-stream' } })
  const id = /^id: (\S+):\d+$/m.exec(stream.body)?.[1]
  const stolen = await service.chat({ user_id: 'mallory', message: 'Hello' }, { accept: 'text/event-stream', 'last-event-id': `${id}:0` })
  t.match(stolen, { status: 409, body: { code: 'STREAM_GONE' } })
})
