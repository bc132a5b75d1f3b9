import t from 'tap'
import { startApp, type TestApp } from '../fixtures/app.ts'
import { EventClient } from '../fixtures/event-client.ts'

const PAGE = 'https://chat.example'

async function preflight (service: TestApp, origin: string, url = '/api/chat') {
  const headers = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type, x-api-key' }
  const { statusCode, headers: answered, body } = await service.app.inject({ method: 'OPTIONS', url, headers })
  return { status: statusCode, headers: answered, body }
}

function grants (headers: Record<string, unknown>): string[] {
  return Object.keys(headers).filter(name => name.startsWith('access-control-'))
}

t.test('without the setting no page may call: a preflight is a route that is not there', async t => {
  const service = await startApp(t)
  const { status, headers, body } = await preflight(service, PAGE)
  t.equal(status, 404)
  t.same(grants(headers), [])
  t.match(JSON.parse(body), { code: 'ROUTE_NOT_FOUND' })
  const answer = await service.request({ method: 'GET', url: '/api/sessions', headers: { origin: PAGE } })
  t.same(grants(answer.headers), [])
})

t.test('a page that is listed may call: its preflight needs no key, and says what may be sent', async t => {
  const service = await startApp(t, { env: { API_KEY: 'key', CORS_ORIGIN: `http://localhost:3000, ${PAGE}` } })
  for (const origin of [PAGE, 'http://localhost:3000']) {
    const { status, headers } = await preflight(service, origin)
    t.equal(status, 204)
    t.match(headers, {
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'GET, HEAD, POST, DELETE',
      'access-control-allow-headers': 'accept, authorization, content-type, idempotency-key, last-event-id, x-api-key, x-request-id',
      'access-control-max-age': '600',
      vary: /origin/i
    })
    t.notOk('access-control-allow-credentials' in headers)
  }
  t.match(await preflight(service, PAGE, '/api/sessions/some/cancel'), { status: 204 })
})

t.test('it reads answers, errors and streams, and of their headers those that are of use', async t => {
  const service = await startApp(t, { env: { API_KEY: 'key', CORS_ORIGIN: PAGE, RATE_LIMIT_MAX: '2' } })
  const url = await service.listen()
  const exposed = {
    'access-control-allow-origin': PAGE,
    'access-control-expose-headers': 'idempotency-replayed, retry-after, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-request-id',
    vary: /origin/i
  }
  const hello = { user_id: 'ann', message: 'Hello' }
  t.match(await service.chat(hello, { origin: PAGE }), { status: 401, headers: exposed })
  t.match(await service.chat(hello, { origin: PAGE, 'x-api-key': 'key' }), { status: 200, headers: exposed })
  const stream = await EventClient.open(`${url}/api/chat`, hello, { origin: PAGE, 'x-api-key': 'key' })
  t.equal(stream.status, 200)
  t.match(stream.headers, exposed)
  await stream.rest()
  t.match(await service.chat(hello, { origin: PAGE, 'x-api-key': 'key' }), { status: 429, headers: exposed })
})

t.test('any other page is granted nothing, and caches are told that it depends', async t => {
  const service = await startApp(t, { env: { CORS_ORIGIN: PAGE } })
  for (const origin of ['https://evil.example', 'null', 'https://chat.example.evil.example', 'http://chat.example', 'https://chat.example:8443']) {
    const refused = await preflight(service, origin)
    t.equal(refused.status, 404, origin)
    t.same(grants(refused.headers), [], origin)
    const answer = await service.request({ method: 'GET', url: '/api/sessions', headers: { origin } })
    t.same(grants(answer.headers), [], origin)
    t.match(answer.headers.vary, /origin/i)
  }
  t.match(await service.request({ method: 'OPTIONS', url: '/api/chat' }), { status: 404, body: { code: 'ROUTE_NOT_FOUND' } })
})

t.test('an origin is the same however the setting writes it', async t => {
  const service = await startApp(t, { env: { CORS_ORIGIN: 'HTTPS://Chat.Example:443/' } })
  t.equal((await preflight(service, PAGE)).status, 204)
})

t.test('* lets every page call, but not in the name of who opened it', async t => {
  const service = await startApp(t, { env: { CORS_ORIGIN: '*' } })
  const { status, headers } = await preflight(service, 'https://any.example')
  t.match({ status, headers }, { status: 204, headers: { 'access-control-allow-origin': '*' } })
  t.notOk('access-control-allow-credentials' in headers)
})

t.test('a body that a page may send without a preflight is taken by no route', async t => {
  const service = await startApp(t)
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
    const headers = { origin: 'https://evil.example', 'content-type': type }
    const answer = await service.request({ method: 'POST', url: '/api/chat', headers, payload: '{"user_id":"ann","message":"Hello"}' })
    t.match(answer, { status: 415, body: { code: 'MEDIA_TYPE_UNSUPPORTED' } }, type)
  }
})
