import { connect } from 'node:net'
import t from 'tap'
import { startApp } from '../fixtures/app.ts'

t.test('every error is JSON with a stable code and the request\'s id', async t => {
  const service = await startApp(t)
  const { status, headers, body } = await service.get('/nowhere?secret=1')
  t.equal(status, 404)
  t.same(Object.keys(body).sort(), ['code', 'error', 'message', 'request_id', 'statusCode'])
  t.match(body, { statusCode: 404, code: 'ROUTE_NOT_FOUND', error: 'Not Found' })
  t.notMatch(body.message, 'secret')
  t.equal(headers['x-request-id'], body.request_id)
})

t.test('a client\'s own request id is used if it is fit to be logged', async t => {
  const service = await startApp(t)
  const ask = async (id: string) => (await service.request({ method: 'GET', url: '/health', headers: { 'x-request-id': id } })).headers['x-request-id']
  t.equal(await ask('trace-1:a.b'), 'trace-1:a.b')
  for (const unfit of ['a b', 'x'.repeat(129), 'é', '']) t.not(await ask(unfit), unfit)
})

t.test('an address that cannot be read is an error in the same form', async t => {
  const service = await startApp(t)
  t.match(await service.get('/api/sessions/%zz'), { status: 400, body: { code: 'REQUEST_INVALID', request_id: String } })
  t.match(await service.get(`/api/sessions/${'x'.repeat(500)}`), { body: { statusCode: Number, code: 'REQUEST_INVALID' } })
})

t.test('what is no HTTP is answered in the same form', async t => {
  const service = await startApp(t)
  await service.app.listen({ port: 0, host: '127.0.0.1' })
  const address = service.app.server.address()
  const socket = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1')
  socket.end('GARBAGE\r\n\r\n')
  let answer = ''
  for await (const chunk of socket.setEncoding('utf8')) answer += String(chunk)
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  t.match(head, /^HTTP\/1\.1 400 /)
  t.match(JSON.parse(body), { statusCode: 400, code: 'REQUEST_INVALID', error: 'Bad Request', message: String, request_id: String })
})

t.test('a failure that nobody foresaw tells the client nothing and the log everything', async t => {
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { logged })
  const failure = Object.assign(new Error('/etc/secret is broken'), { code: 'EACCES', syscall: 'open' })
  t.intercept(service.app.sessionStore, 'count', { value: () => { throw failure }, configurable: true })
  const { status, body } = await service.get('/api/sessions/count')
  t.equal(status, 500)
  t.match(body, { code: 'INTERNAL', message: 'Something went wrong' })
  t.match(JSON.stringify(logged.find(line => line.code === 'INTERNAL')), '/etc/secret is broken')
})
