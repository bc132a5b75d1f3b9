import { once } from 'node:events'
import { request } from 'node:http'
import t from 'tap'
import { buildApp } from '../src/app.ts'
import { startApp, type TestApp } from './fixtures/app.ts'
import { makeFolder } from './fixtures/folder.ts'

const SECOND_MS = 1000

/** Asks over a real socket, as a proxy or as one who poses as one; resolves to the status. */
async function ask (url: string, forwardedFor?: string): Promise<number | undefined> {
  const headers = forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor }
  const sent = request(`${url}/api/sessions`, { headers, agent: false }).end()
  const [response] = await once(sent, 'response')
  response.resume()
  return response.statusCode
}

async function startLimited (service: Promise<TestApp>): Promise<string> {
  return await (await service).listen()
}

t.test('without TRUST_PROXY, and from others than the proxies, X-Forwarded-For counts for nothing', async t => {
  for (const env of [{}, { TRUST_PROXY: '10.0.0.0/8, fd00::/8' }]) {
    const url = await startLimited(startApp(t, { env: { RATE_LIMIT_KEY_MAX: '2', ...env } }))
    t.equal(await ask(url, '192.0.2.1'), 200)
    t.equal(await ask(url, '192.0.2.2'), 200)
    t.equal(await ask(url, '192.0.2.3'), 429, 'all are the one who is connected')
    t.equal(await ask(url), 429)
  }
})

t.test('a proxy is believed, and what a client told it is not', async t => {
  const url = await startLimited(startApp(t, { env: { RATE_LIMIT_KEY_MAX: '1', TRUST_PROXY: '127.0.0.1, 10.0.0.0/8' } }))
  t.equal(await ask(url, '192.0.2.1'), 200)
  t.equal(await ask(url, '192.0.2.1'), 429)
  t.equal(await ask(url, '192.0.2.2'), 200, 'another client of the proxy')
  t.equal(await ask(url, '198.51.100.7, 192.0.2.1'), 429, 'the address that a client puts in front is not its own')
  t.equal(await ask(url, '198.51.100.7, 192.0.2.3, 10.1.2.3'), 200, 'proxies behind proxies')
  t.equal(await ask(url, '192.0.2.3, 10.9.9.9'), 429)
})

t.test('a list of proxies that is none ends the start with a line that names it', async t => {
  for (const TRUST_PROXY of ['true', '1', '0.0.0.0/0']) {
    await t.rejects(buildApp({ env: { SESSIONS_CSV_PATH: `${makeFolder(t)}/s.csv`, TRUST_PROXY } }), {
      code: 'SETTING_INVALID', message: `TRUST_PROXY must be addresses and CIDR ranges such as 10.0.0.0/8, separated by commas, received "${TRUST_PROXY}"`
    })
  }
})

t.test('who sends slowly is not waited for without end, and a connection outlives the silence between two messages', async t => {
  const { app } = await startApp(t)
  t.match(app.server, { requestTimeout: 30 * SECOND_MS, headersTimeout: 10 * SECOND_MS, keepAliveTimeout: 65 * SECOND_MS })
  t.match(app.initialConfig, { bodyLimit: 256 * 1024, pluginTimeout: 0 })
})

t.test('a path of 400 characters is read, since ids may be that long', async t => {
  const service = await startApp(t)
  t.equal((await service.get(`/api/sessions/${encodeURIComponent('😀'.repeat(200))}`)).status, 200)
})

t.test('no line of the log has anything of a query, or of a header', async t => {
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { logged, env: { API_KEY: 'key', DEBUG: 'true' } })
  const headers = { 'x-api-key': 'key', 'x-forwarded-for': 'HUSH' }
  for (const url of ['/api/sessions?cursor=HUSH', '/api/sessions?limit=HUSH', '/nowhere?a=HUSH', '/api/sessions/%zz?a=HUSH', '/api/chat?a=HUSH']) {
    await service.request({ method: 'GET', url, headers })
  }
  await service.request({ method: 'GET', url: '/api/sessions?key=HUSH' })
  t.intercept(service.app.sessionStore, 'count', { value: () => { throw new Error('broken') }, configurable: true })
  await service.request({ method: 'GET', url: '/api/sessions/count?a=HUSH', headers })
  t.ok(logged.length >= 5)
  t.notMatch(JSON.stringify(logged), 'HUSH')
})

t.test('a request that is logged shows its method and its path alone', async t => {
  const logged: Record<string, unknown>[] = []
  const { app } = await startApp(t, { logged })
  app.log.info({ req: { method: 'GET', url: '/api/sessions?cursor=HUSH', headers: { a: 'HUSH' } } }, 'Asked')
  t.same(logged.at(-1)?.req, { method: 'GET', path: '/api/sessions' })
})
