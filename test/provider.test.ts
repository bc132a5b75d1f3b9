import t from 'tap'
import { startApp } from './fixtures/app.ts'
import { OpenAiServer } from './fixtures/openai-server.ts'

t.test('a real provider\'s path runs: request, tool call, approval, final answer', async t => {
  const provider = await OpenAiServer.start(t)
  provider.answer = ({ body }) => {
    const last = body.messages.at(-1)
    if (last?.role === 'tool') return { text: `The tool said: ${String(last.content)}` }
    return { text: 'I would note that.', toolCalls: [{ name: 'save_note', args: { text: 'milk' } }] }
  }
  const service = await startApp(t, { env: provider.env })
  t.match((await service.get('/health')).body.agent, { model: 'openai:test-model' })

  const asked = await service.say('Please note: milk', { metadata: { user_profile: { name: 'Ann' } } })
  t.match(asked.body, {
    status: 'waiting_approval',
    message: /I would note that\..*Save the note "milk"/s,
    metadata: { model: 'test-model', usage: { input_tokens: 10, output_tokens: 5, total_tokens: 15 }, user_profile: { name: 'Ann' } }
  })
  const [request] = provider.requests
  t.equal(request?.authorization, 'Bearer sk-test')
  t.equal(request?.body.model, 'test-model')
  t.match(request?.body.messages, [{ role: 'system', content: /helpful assistant.*"Ann"/s }, { role: 'user', content: 'Please note: milk' }])
  t.same(request?.body.tools?.map(tool => tool.function.name).sort(), ['current_time', 'list_notes', 'save_note'])

  const done = await service.say('yes')
  t.match(done.body, { status: 'completed', message: 'The tool said: Saved the note: milk', metadata: { usage: { total_tokens: 15 } } })
  const sent = provider.requests.at(-1)?.body.messages ?? []
  t.match(sent.slice(1).map(message => message.role), ['user', 'assistant', 'tool'])
  t.equal(sent[3]?.tool_call_id, sent[2]?.tool_calls?.[0]?.id, 'the result names its call')
  t.equal(provider.requests.length, 2)
})

t.test('an edited call reaches the provider as it was edited', async t => {
  const provider = await OpenAiServer.start(t)
  provider.answer = ({ body }) => body.messages.at(-1)?.role === 'tool' ? { text: 'Done' } : { toolCalls: [{ name: 'save_note', args: { text: 'mlik' } }] }
  const service = await startApp(t, { env: provider.env })
  const { body } = await service.say('Note it')
  await service.approve({ user_id: 'ann', session_id: body.session_id, approved: true, edited_args: { text: 'milk' } })
  const sent = provider.requests.at(-1)?.body.messages ?? []
  t.equal(sent.find(message => message.tool_calls !== undefined)?.tool_calls?.[0]?.function.arguments, '{"text":"milk"}')
  t.match(sent.at(-1), { role: 'tool', content: 'Saved the note: milk' })
})

t.test('a provider that fails for a moment is asked again by LangChain\'s own means', async t => {
  const provider = await OpenAiServer.start(t)
  provider.answer = () => provider.requests.length === 1 ? { status: 503 } : { text: 'Back' }
  const service = await startApp(t, { env: provider.env })
  t.match((await service.say('Hello')).body, { status: 'completed', message: 'Back' })
})
