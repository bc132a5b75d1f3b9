import t from 'tap'
import { startApp } from '../fixtures/app.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'

t.test('a yes to a question that its thread no longer asks is refused, and the agent never sees it', async t => {
  const service = await startApp(t)
  const { body: { session_id } } = await service.say('note: milk')
  // As after a restart of a graph that keeps its threads in memory.
  service.app.agent.pending = async () => undefined
  t.match(await service.say('yes'), { status: 409, body: { code: 'APPROVAL_NOT_PENDING' } })
  const { body } = await service.get(`/api/sessions/${session_id}/messages`)
  t.same(body.messages.filter(({ role }) => role === 'user').map(({ content }) => content), ['note: milk'])
  t.equal((await service.say('yes')).status, 200, 'later it is a word like any other')
})

t.test('so is a decision about several actions', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: provider.env })
  provider.answer = () => ({ toolCalls: ['one', 'two'].map(text => ({ name: 'save_note', args: { text } })) })
  await service.say('Save them')
  service.app.agent.pending = async () => undefined
  t.match(await service.say('approve 1, reject 2: wrong date'), { status: 409, body: { code: 'APPROVAL_NOT_PENDING' } })
  t.equal(provider.requests.length, 1)
})
