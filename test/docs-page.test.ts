import { request, createServer } from 'node:http'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { startApp } from './fixtures/app.ts'
import { CHROMIUM, visit } from './fixtures/browser.ts'

const skip = CHROMIUM === undefined && 'there is no Chromium on this machine; CHROMIUM_PATH says where one is'

/** A proxy that adds `/agents` to the path, and takes it away again. */
async function startProxy (t: Test, target: string): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    if (incoming.url?.startsWith('/agents/') !== true) {
      outgoing.writeHead(404).end()
      return
    }
    const url = target + incoming.url.slice('/agents'.length)
    incoming.pipe(request(url, { method: incoming.method, headers: incoming.headers, agent: false }, answer => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => { server.close().closeAllConnections() })
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/agents`
}

t.test('the page shows every operation, loads nothing from elsewhere, and has nothing to complain of', { skip }, async t => {
  const service = await startApp(t)
  const url = await service.listen()
  const { page, requests, problems } = await visit(t, CHROMIUM ?? '', `${url}/docs`)
  t.equal(await page.locator('.opblock').count(), (await service.get('/')).body.endpoints.length)
  t.same(requests.filter(address => !address.startsWith(`${url}/`) && !address.startsWith('data:')), [])
  t.same(problems, [])
  const { headers } = await service.app.inject('/docs/')
  t.match(headers['content-security-policy'], "default-src 'none'")
  t.notMatch(headers['content-security-policy'], 'unsafe')
})

t.test('an example is sent from the page as it stands, also behind a proxy that adds a path, and with a key', { skip }, async t => {
  const service = await startApp(t, { env: { API_KEY: 'correct-horse' } })
  const url = await startProxy(t, await service.listen())
  const { page, requests, problems } = await visit(t, CHROMIUM ?? '', `${url}/docs`)
  await page.locator('.auth-wrapper .authorize').click()
  await page.locator('.auth-container input').first().fill('correct-horse')
  await page.locator('.auth-btn-wrapper .authorize').first().click()
  await page.locator('.btn-done').first().click()
  const chat = page.locator('#operations-chat-chat')
  await chat.locator('.opblock-summary-control').click()
  await chat.locator('.try-out__btn').click()
  await chat.locator('.execute').click()
  const answer = chat.locator('.live-responses-table')
  await answer.waitFor()
  t.match(await answer.innerText(), /\b200\b[^]*"status": "completed"/)
  t.ok(requests.includes(`${url}/api/chat`))
  t.same(requests.filter(address => !address.startsWith(`${url}/`) && !address.startsWith('data:')), [])
  t.same(problems, [])
})

t.test('the page is open where the routes need a key', async t => {
  const service = await startApp(t, { env: { API_KEY: 'k' } })
  for (const url of ['/docs/', '/docs/json', '/docs/static/swagger-initializer.js', '/docs/static/swagger-ui.css', '/openapi.json']) {
    t.equal((await service.app.inject(url)).statusCode, 200, url)
  }
  t.match(await service.app.inject('/docs'), { statusCode: 302, headers: { location: './docs/' } })
  t.match(await service.app.inject('/docs/?a=b'), { statusCode: 302, headers: { location: './' } })
})
