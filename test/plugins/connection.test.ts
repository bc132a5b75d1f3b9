import t from 'tap'
import { startApp } from '../fixtures/app.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'
import { parseAnswer, RawClient, sendRaw, type RawAnswer } from '../fixtures/raw-client.ts'

const HOST = 'Host: holdline\r\n'
const SAYS = '{"user_id":"ann","message":"Hello"}'
const LENGTH = `Content-Length: ${SAYS.length}`

/** A message, with these headers. */
const post = (headers: string, body = SAYS): string => `POST /api/chat HTTP/1.1\r\n${HOST}Content-Type: application/json\r\n${headers}\r\n\r\n${body}`
const get = (headers: string, path = '/health'): string => `GET ${path} HTTP/1.1\r\n${HOST}${headers}\r\n`

/** What comes over the line, and the status that it gets. */
const REQUESTS: Readonly<Record<string, [number, string]>> = {
  'two lengths': [400, post(`${LENGTH}\r\n${LENGTH}`)],
  'two lengths that differ': [400, post(`${LENGTH}\r\nContent-Length: 5`)],
  'a length and chunks': [400, post('Content-Length: 5\r\nTransfer-Encoding: chunked', '0\r\n\r\nGET /x HTTP/1.1\r\n\r\n')],
  'chunks and a length': [400, post('Transfer-Encoding: chunked\r\nContent-Length: 5', '0\r\n\r\nGET /x HTTP/1.1\r\n\r\n')],
  'chunks that are something else at last': [400, post('Transfer-Encoding: chunked, identity', '0\r\n\r\n')],
  'chunks in another spelling': [400, post('Transfer-Encoding: xchunked', '0\r\n\r\n')],
  'chunks behind a space': [400, post('Transfer-Encoding : chunked', '0\r\n\r\n')],
  'a chunk without a length': [400, post('Transfer-Encoding: chunked', 'zz\r\n\r\n')],
  'a length below zero': [400, post('Content-Length: -1')],
  'a length beyond all bounds': [400, post(`Content-Length: ${'9'.repeat(30)}`)],
  'a length that is too much': [413, post('Content-Length: 999999999')],
  'chunks that are too much': [413, post('Transfer-Encoding: chunked', `50000\r\n${' '.repeat(0x50000)}\r\n0\r\n\r\n`)],
  'a folded header': [400, get('X-A: a\r\n b\r\n')],
  'a line feed alone': [400, 'GET /health HTTP/1.1\nHost: holdline\n\n'],
  'a carriage return alone': [400, get('X-A: a\rX-B: b\r\n')],
  'NUL in a header': [400, get('X-A: a\0b\r\n')],
  'a header without a name': [400, get(': a\r\n')],
  'a name with a space': [400, get('X A: a\r\n')],
  'headers that are too large': [431, get(`X-A: ${'a'.repeat(20_000)}\r\n`)],
  'no host': [400, 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n'],
  'two hosts': [400, get('Host: evil\r\nConnection: close\r\n')],
  'no host, in the old version': [200, 'GET /health HTTP/1.0\r\n\r\n'],
  'an address with a host': [200, `GET http://evil/health HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`],
  'a path of another host': [404, `GET //evil/health HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`],
  'a way up': [404, get('Connection: close\r\n', '/api/sessions/../../../etc/passwd')],
  'a long path': [404, get('Connection: close\r\n', `/${'a'.repeat(12_000)}`)],
  'an unknown method': [400, `FOO / HTTP/1.1\r\n${HOST}\r\n`],
  'a tunnel': [400, `CONNECT evil:443 HTTP/1.1\r\n${HOST}\r\n`],
  'an upgrade to HTTP/2': [200, get('Connection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n')],
  'the preface of HTTP/2': [400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  TLS: [400, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  'an expectation that nobody knows': [200, get('Connection: close\r\nExpect: miracles\r\n')],
  'an expectation that is met': [200, post(`Connection: close\r\nExpect: 100-continue\r\n${LENGTH}`)],
  'a body that says it is compressed': [415, post(`Connection: close\r\nContent-Encoding: gzip\r\n${LENGTH}`)],
  'an id with a line end': [400, get('X-Request-Id: a\r\n b\r\n')]
}

function describeProblem ({ status, head, body }: RawAnswer, expected: number): string | undefined {
  if (status !== expected) return `${status} instead of ${expected}`
  const id = /^x-request-id: (.*)$/im.exec(head)?.[1]
  if (id === undefined || /x-evil/i.test(head)) return head
  if (status < 400) return undefined
  const error: unknown = JSON.parse(body)
  if (typeof error !== 'object' || error === null || Reflect.get(error, 'request_id') !== id) return body
  return ['code', 'error', 'message'].every(name => typeof Reflect.get(error, name) === 'string') && Reflect.get(error, 'statusCode') === status ? undefined : body
}

t.test('what is no request is refused in the form of every error, and does nothing', async t => {
  const service = await startApp(t)
  const url = await service.listen()
  for (const [what, [status, text]] of Object.entries(REQUESTS)) {
    t.equal(describeProblem(await sendRaw(url, text), status), undefined, what)
  }
  t.equal((await service.get('/api/sessions/count')).body.count, 1, 'one of them was a message')
})

t.test('requests that come at once are answered one by one, each with its own id', async t => {
  const service = await startApp(t)
  const client = new RawClient(await service.listen())
  client.send(get('X-Request-Id: one\r\n') + get('X-Request-Id: two\r\n', '/nowhere') + get('X-Request-Id: three\r\nConnection: close\r\n', '/health/live'))
  const text = await client.readAll()
  t.same([...text.matchAll(/HTTP\/1\.1 (\d+)[^]*?x-request-id: (\w+)/g)].map(([, status, id]) => [status, id]), [['200', 'one'], ['404', 'two'], ['200', 'three']])
})

t.test('a client that is slow is cut off in time: before the first byte, in the headers, in the body', async t => {
  const service = await startApp(t, { arrival: { headersMs: 100, requestMs: 200 } })
  const url = await service.listen()
  for (const start of ['', 'GET /hea', `GET /health HTTP/1.1\r\n${HOST}X-A: `, post(LENGTH, '{"user_id"'), post('Transfer-Encoding: chunked', '5\r\n{"us')]) {
    const client = new RawClient(url)
    t.teardown(() => { client.destroy() })
    client.send(start)
    await client.closed
    const answer = parseAnswer(await client.readAll())
    t.equal(describeProblem(answer, 408), undefined, JSON.stringify(start.slice(-20)))
    t.match(JSON.parse(answer.body), { code: 'REQUEST_TIMED_OUT' })
  }
  t.match(await service.get('/health'), { status: 200 })
})

t.test('what comes behind a request does not get into the answer that has begun', async t => {
  const provider = await OpenAiServer.start(t)
  const { asked, answered } = provider.hold('Done.')
  const service = await startApp(t, { env: provider.env })
  const client = new RawClient(await service.listen())
  client.send(post(`Accept: text/event-stream\r\n${LENGTH}`))
  await asked.opened
  client.send('GARBAGE\r\n\r\n')
  const text = await client.readAll()
  answered.open()
  t.equal(text.match(/HTTP\/1\.1/g)?.length, 1)
})
