import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { connect } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import securityHeaders from '../../plugins/security-headers.ts'
import { startApp } from '../fixtures/app.ts'
import { EventClient } from '../fixtures/event-client.ts'

const POLICY = "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'"
const SAFE = { 'content-security-policy': POLICY, 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY' }

t.test('every answer tells browsers that it is no page: also errors, unknown routes, and streams', async t => {
  const service = await startApp(t, { env: { API_KEY: 'key' } })
  const url = await service.listen()
  const headers = { 'x-api-key': 'key' }
  t.match(await service.get('/health'), { status: 200, headers: SAFE })
  t.match(await service.chat({ user_id: 'ann', message: 'Hello' }, headers), { status: 200, headers: SAFE })
  t.match(await service.chat({ user_id: 'ann' }, headers), { status: 400, headers: SAFE })
  t.match(await service.get('/api/sessions'), { status: 401, headers: SAFE })
  t.match(await service.request({ method: 'GET', url: '/nowhere', headers }), { status: 404, headers: SAFE })
  const stream = await EventClient.open(`${url}/api/chat`, { user_id: 'ann', message: 'Hello' }, headers)
  t.match(stream.headers, { ...SAFE, 'content-type': /^text\/event-stream/ })
  await stream.rest()
})

t.test('so do errors that are met before any route, and those of what is no HTTP', async t => {
  const service = await startApp(t)
  t.match(await service.get('/api/sessions/%zz'), { status: 400, headers: SAFE })
  const { port } = new URL(await service.listen())
  const socket = connect(Number(port), '127.0.0.1')
  socket.end('GARBAGE\r\n\r\n')
  let answer = ''
  for await (const chunk of socket.setEncoding('utf8')) answer += String(chunk)
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  for (const [name, value] of Object.entries(SAFE)) t.ok(head.includes(`\r\n${name}: ${value}`), name)
  t.match(head, `content-length: ${body.length}`)
})

t.test('whether TLS is a must is left to the proxy, and nobody learns what the service is made of', async t => {
  const { headers } = await (await startApp(t)).get('/health')
  t.notOk('strict-transport-security' in headers)
  t.notOk('x-powered-by' in headers)
})

t.test('a page that brings a policy of its own has that one', async t => {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(securityHeaders)
  await app.register(swagger)
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: { 'default-src': "'none'", 'script-src': "'self'" } })
  const { statusCode, headers } = await app.inject('/docs/')
  t.match({ statusCode, headers }, { statusCode: 200, headers: { ...SAFE, 'content-security-policy': /^default-src 'none'; script-src 'self'/ } })
  t.equal((await app.inject('/docs/json')).headers['x-content-type-options'], 'nosniff')
})
