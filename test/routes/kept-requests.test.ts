import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { startApp } from '../fixtures/app.ts'
import { collectGarbage } from '../fixtures/collect-garbage.ts'
import { EventClient } from '../fixtures/event-client.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'

t.test('what is kept of a turn that has ended, well or not, holds on to none of its requests', async t => {
  const provider = await OpenAiServer.start(t)
  const { app } = await startApp(t, { env: provider.env })
  const url = `${await app.listen({ host: '127.0.0.1', port: 0 })}/api/chat`
  const requests: WeakRef<IncomingMessage>[] = []
  app.server.on('request', request => { requests.push(new WeakRef(request)) })
  for (const [index, status] of [200, 200, 400, 400].entries()) {
    provider.answer = () => status === 200 ? { text: 'Done' } : { status }
    const body = { user_id: 'ann', message: 'Hello', junk: 'x'.repeat(100_000) }
    const events = await (await EventClient.open(url, body, index % 2 === 0 ? {} : { 'idempotency-key': String(index) })).rest()
    t.equal(events.at(-1)?.name, status === 200 ? 'message' : 'error')
  }
  await new Promise(resolve => { app.server.close(resolve) })
  await collectGarbage()
  t.equal(requests.length, 4)
  t.same(requests.map(request => request.deref() !== undefined), [false, false, false, false])
})
