import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeFolder } from './fixtures/folder.ts'
import { OpenAiServer } from './fixtures/openai-server.ts'
import { Service } from './fixtures/service.ts'

/** An agent that fails in every way, and takes what it was told along. Its words are those of the person. */
const AGENT = `
import { AIMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { interrupt, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph'
import { z } from 'zod'

const breaks = tool(async ({ word }) => { throw new Error('The tool had ' + word) }, { name: 'breaks', schema: z.object({ word: z.string() }) })

export const graph = new StateGraph(MessagesAnnotation).addNode('act', async ({ messages }) => {
  const said = messages.at(-1).text
  const [what, word] = said.split(' ')
  switch (what) {
    case 'throw': throw Object.assign(new Error('I was told: ' + said, { cause: new TypeError(said) }), { request: { body: said }, code: 'E ' + said })
    case 'text': throw said
    case 'object': throw { said }
    case 'parse': return JSON.parse(said)
    case 'tool': return await breaks.invoke({ word })
    case 'reject': return { messages: [{ role: said, content: said }] }
    case 'later': setTimeout(() => { throw Object.assign(new Error('Too late: ' + said), { said }) }); await new Promise(() => {})
    case 'hang': await new Promise(() => {})
    case 'ask': {
      const answer = interrupt({ type: 'approval_request', tool_name: 'act', args: { word: 'argument-' + word }, description: 'About ' + word })
      if (answer !== 'yes') throw new Error(JSON.stringify(answer) + word)
      return { messages: [new AIMessage('Did ' + word)] }
    }
  }
  return { messages: [new AIMessage('You said ' + said)] }
}).addEdge(START, 'act').compile()
`

const SECRETS = {
  API_KEY: 'canary-key-of-the-service',
  OPENAI_API_KEY: 'canary-key-of-openai',
  LANGGRAPH_API_KEY: 'canary-key-of-langgraph',
  ANTHROPIC_API_KEY: 'canary-key-of-anthropic',
  OPENAI_BASE_URL: 'http://canary-user:canary-password@127.0.0.1:1/v1?canary-query=canary-token',
  OLLAMA_BASE_URL: 'http://canary-user:canary-password@127.0.0.1:1'
}

/** Whatever a person says, and whatever is secret. */
const CANARY = /canary-[\w-]+/g

/** As far as tests look at it. */
interface BotAnswer {
  readonly status: number
  readonly body: { readonly session_id: string, readonly message: string }
}

/** Requests as a bot sends them; all that is answered with an error is kept. */
class Bot {
  readonly errors: string[] = []
  readonly #service: Service
  #count = 0

  constructor (service: Service) {
    this.#service = service
  }

  async post (path: string, body: object, headers: Record<string, string> = {}): Promise<BotAnswer> {
    const response = await fetch(this.#service.url + path, {
      method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', 'x-api-key': SECRETS.API_KEY, ...headers }
    })
    const text = await response.text()
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
    if (!response.ok) this.errors.push(text)
    if (isStream) this.errors.push(...[...text.matchAll(/event: error\ndata: (.*)/g)].map(([, data = '']) => data))
    return { status: response.status, body: isStream ? {} : JSON.parse(text) }
  }

  /** Says this and a word of its own, as a person of its own unless told otherwise. */
  async say (what: string, more: object = {}, headers: Record<string, string> = {}) {
    const word = `canary-word-${++this.#count}`
    const metadata = { note: `canary-note-${this.#count}` }
    return await this.post('/api/chat', { user_id: `person_${this.#count}`, message: `${what} ${word}`, metadata, ...more }, headers)
  }

  /** What each route shows that needs nothing but to be read; of sessions, those show the metadata, which is the client's own. */
  async readOpen (): Promise<string> {
    const { endpoints }: { endpoints: string[] } = JSON.parse(await this.#get('/'))
    const paths = endpoints.filter(endpoint => /^GET [^:]*$/.test(endpoint) && !endpoint.includes('/api/sessions')).map(endpoint => endpoint.slice(4))
    return (await Promise.all([...paths, '/api/sessions/count', '/nowhere'].map(async path => await this.#get(path)))).join('\n')
  }

  async #get (path: string): Promise<string> {
    return await (await fetch(this.#service.url + path, { headers: { 'x-api-key': SECRETS.API_KEY } })).text()
  }
}

/** What the files in a folder hold, without those where people's words belong. */
function readFiles (dir: string): string {
  return readdirSync(dir).filter(name => !/^conversations\.sqlite(-wal|-shm)?$|^agent\.ts$/.test(name)).map(name => readFileSync(join(dir, name), 'latin1')).join('\n')
}

const find = (text: string, allowed = /^$/): string[] => [...new Set(text.match(CANARY))].filter(word => !allowed.test(word))
const NOTES = /^canary-note-/

async function startBot (t: Test, dir: string, env: Record<string, string>): Promise<{ service: Service, bot: Bot }> {
  const service = await Service.start(t, dir, { DEBUG: 'true', ...SECRETS, ...env })
  return { service, bot: new Bot(service) }
}

t.test('what people say is in the conversations alone, and no secret is anywhere, whatever an agent does with them', async t => {
  const dir = makeFolder(t, { 'agent.ts': AGENT })
  const { service, bot } = await startBot(t, dir, { AGENT: './agent.ts:graph', AGENT_TIMEOUT_SECONDS: '1', SHUTDOWN_GRACE_SECONDS: '0.2' })
  t.equal((await bot.say('hello')).status, 200)
  for (const what of ['throw', 'text', 'object', 'parse', 'tool', 'reject', 'hang']) {
    t.match((await bot.say(what)).status, /^50[0-9]$/, what)
    await bot.say(what, {}, { accept: 'text/event-stream' })
  }
  t.ok(bot.errors.length > 13)

  // A question shows its arguments while it is open, and leaves none behind.
  const asked = (await bot.say('ask', { user_id: 'ann' })).body
  t.match(find(readFiles(dir), NOTES), ['canary-word-'])
  const decide = async (more: object) => (await bot.post('/api/approve', { user_id: 'ann', session_id: asked.session_id, ...more })).status
  t.equal(await decide({ edited_args: { word: 'canary-edit' }, approved: true }), 422)
  t.equal(await decide({ decisions: [{ type: 'respond', message: 'canary-response' }] }), 422)
  t.equal(await decide({ resume: null, message: 'canary-reason' }), 422)
  t.equal(await decide({ approved: true }), 200)
  for (const answer of ['/reject canary-reason', 'reject: canary-reason']) {
    await bot.say('ask', { user_id: 'bob' })
    await bot.post('/api/chat', { user_id: 'bob', message: answer })
  }
  const { body: { session_id } } = await bot.say('ask', { user_id: 'eve' })
  await bot.post('/api/approve', { user_id: 'eve', session_id, resume: { secret: 'canary-resume' } })
  await bot.post('/api/chat', { user_id: 'eve', message: '/new' })
  await bot.post('/api/chat', { user_id: 'bob', message: '/new' })

  // Requests that are wrong.
  await bot.post('/api/chat', { user_id: 'canary-user-1', message: ['canary-array'] })
  await bot.post('/api/chat', { user_id: 'x', message: 'canary-long'.repeat(4000) })
  await bot.post('/api/chat', { user_id: 'x', message: 'canary-message', metadata: { big: 'canary-big'.repeat(2000) } })
  await bot.post('/api/chat', { user_id: 'x', message: 'canary-message', metadata: { holdline: 'canary-reserved' } })
  await bot.post('/api/chat', { user_id: 'x', message: 'canary-message' }, { 'x-api-key': 'canary-wrong-key' })
  await bot.post('/api/chat', { user_id: 'x', message: 'canary-message' }, { 'content-type': 'text/plain' })
  await bot.post('/api/chat', { user_id: 'x', message: 'canary\\ud800-half' })
  t.same(find(bot.errors.join('\n')).filter(word => word !== 'canary-user-1'), [], 'errors; one names the person whom the request named')
  t.same(find(await bot.readOpen()), [], 'what is shown to everybody')
  t.same(find(readFiles(dir), NOTES), [], 'files')

  const hanging = bot.say('hang').catch(() => {})
  service.kill('SIGTERM')
  const { log, stderr } = await service.exit
  await hanging
  t.match(log, /"code":"AGENT_FAILED".*agent\.ts:\d+/, 'the log says where')
  t.same(find(log + stderr), [], 'log')
  t.same(find(readFiles(dir), NOTES), [], 'files after the stop')
})

t.test('an error that an agent leaves behind ends the service, and tells nothing of what people said', async t => {
  const dir = makeFolder(t, { 'agent.ts': AGENT })
  const { service, bot } = await startBot(t, dir, { AGENT: './agent.ts:graph' })
  await bot.say('later').catch(() => {})
  const { code, log, stderr } = await service.exit
  t.equal(code, 1)
  t.match(log, /nobody handled.*agent\.ts|agent\.ts.*nobody handled/)
  t.same(find(log + stderr), [])
})

t.test('a decision that kill -9 cuts off tells nothing either', async t => {
  const dir = makeFolder(t, { 'agent.ts': AGENT.replace("if (answer !== 'yes')", "if (answer === 'yes') await new Promise(() => {})\n      if (answer !== 'yes')") })
  const first = await startBot(t, dir, { AGENT: './agent.ts:graph' })
  const { body: { session_id } } = await first.bot.say('ask', { user_id: 'ann' })
  const deciding = first.bot.post('/api/approve', { user_id: 'ann', session_id, approved: true }).catch(() => {})
  while (!readFileSync(join(dir, 'sessions.csv'), 'utf8').includes('claimed_at')) await new Promise(resolve => setImmediate(resolve))
  first.service.kill('SIGKILL')
  await deciding
  const { log, stderr } = await first.service.exit

  const second = await startBot(t, dir, { AGENT: './agent.ts:graph' })
  t.match((await second.bot.say('hello', { user_id: 'ann' })).body.message, /may or may not have happened/)
  await second.bot.post('/api/chat', { user_id: 'ann', message: 'no' })
  second.service.kill('SIGTERM')
  const end = await second.service.exit
  t.match(end.log, 'APPROVAL_OUTCOME_UNKNOWN')
  t.same(find([log, stderr, end.log, end.stderr, ...second.bot.errors].join('\n')), [])
})

t.test('a provider that echoes the key and the prompt in its errors has neither in the log nor in an answer', async t => {
  const provider = await OpenAiServer.start(t)
  const dir = makeFolder(t)
  const { service, bot } = await startBot(t, dir, { MODEL: 'openai:test', OPENAI_BASE_URL: `${provider.url.replace('//', '//canary-user:canary-password@')}?canary-query=canary-token` })
  t.ok((await bot.say('hello')).status >= 500, 'an address with a password is none for fetch')
  service.kill('SIGTERM')
  const ends = [await service.exit]

  const next = await startBot(t, dir, { MODEL: 'openai:test', OPENAI_BASE_URL: provider.url })
  for (const status of [400, 401, 403, 404, 422]) {
    provider.answer = ({ authorization, body }) => ({ status, message: `${authorization} said ${JSON.stringify(body.messages)}` })
    t.match(await next.bot.say('hello'), { status: 502 })
  }
  t.same(find(await next.bot.readOpen()), [])
  next.service.kill('SIGTERM')
  ends.push(await next.service.exit)
  const log = ends.map(end => end.log + end.stderr).join('\n')
  t.match(log, /"status":401/, 'the log says what it was')
  t.same(find([log, ...bot.errors, ...next.bot.errors].join('\n')), [])
  t.same(find(readFiles(dir), NOTES), [])
})
