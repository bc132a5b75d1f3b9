import t from 'tap'
import { createModel, parseModelName } from '../../src/agent/model.ts'

t.test('a model is named by provider and name, with a colon or a slash', async t => {
  t.same(parseModelName('openai:gpt-5-mini'), { provider: 'openai', model: 'gpt-5-mini' })
  t.same(parseModelName('openai/gpt-5-mini'), { provider: 'openai', model: 'gpt-5-mini' })
  t.same(parseModelName('ollama/library/llama3:8b'), { provider: 'ollama', model: 'library/llama3:8b' })
  t.throws(() => parseModelName('gpt-5-mini'), { code: 'SETTING_INVALID' })
})

t.test('each provider that is shipped can be made', async t => {
  t.equal((await createModel({})).name, 'offline')
  t.equal((await createModel({ model: 'openai/gpt-5-mini', openaiApiKey: 'k' })).name, 'openai:gpt-5-mini')
  t.equal((await createModel({ model: 'anthropic:claude-sonnet-4-5', anthropicApiKey: 'k' })).name, 'anthropic:claude-sonnet-4-5')
  t.equal((await createModel({ model: 'ollama:llama3:8b', ollamaBaseUrl: 'http://127.0.0.1:1' })).name, 'ollama:llama3:8b')
})

t.test('a missing key or an unknown provider names the variable to set', async t => {
  await t.rejects(createModel({ model: 'openai:gpt-5-mini' }), { code: 'SETTING_INVALID', message: /OPENAI_API_KEY must be set/ })
  await t.rejects(createModel({ model: 'anthropic:x', openaiApiKey: 'k' }), { message: /ANTHROPIC_API_KEY must be set/ })
  await t.rejects(createModel({ model: 'acme:x' }), { message: /MODEL must name one of the providers openai, anthropic, ollama, received "acme"/ })
})
