import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { StateGraph } from '@langchain/langgraph'
import t from 'tap'
import { startApp } from './fixtures/app.ts'
import { makeFolder } from './fixtures/folder.ts'
import { ECHO } from './fixtures/graph-source.ts'
import { Service } from './fixtures/service.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

const TELL_KEYS = ECHO.replace("'You said: ' + messages.at(-1).text", '[process.env.ONE, process.env.TWO, process.env.THREE, process.env.PORT].join()')

/** A graph that asks about everything, and answers what it was told and on which model of message. */
const ASK = `
import { AIMessage } from '@langchain/core/messages'
import { interrupt, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph'
enum Sign { Yes = 'yes' }
export const graph = new StateGraph(MessagesAnnotation)
  .addNode('ask', ({ messages }: typeof MessagesAnnotation.State) => {
    const isDone: boolean = interrupt({ type: 'approval_request', tool_name: 'act', description: 'Act?' }) === Sign.Yes
    return { messages: [new AIMessage(isDone ? 'Did: ' + messages.at(-1)?.text : 'Left it')] }
  })
  .addEdge(START, 'ask')
`

t.test('a langgraph.json in the working directory runs its graph, with the keys of its env, .env and the environment, each above the one before', async t => {
  const dir = makeFolder(t, {
    'langgraph.json': JSON.stringify({ graphs: { echo: './agent.ts:graph' }, env: { ONE: 'list', TWO: 'list', THREE: 'list', PORT: '1', DEBUG: 'langchain:*' } }),
    '.env': 'TWO=dotenv\nTHREE=dotenv\n',
    'agent.ts': TELL_KEYS
  })
  const service = await Service.start(t, dir, { THREE: 'real', ONE: '' })
  t.match(await service.logged(/The agent is echo/), '"agent":"graph"')
  t.match((await service.request('/health')).body.agent, { type: 'graph', name: 'echo' })
  // The service's own settings are not among them: PORT=1 and a DEBUG of another kind would have ended the start.
  t.equal((await service.say('Hello')).body.message, 'list,dotenv,real,0')
})

t.test('an agent that cannot be run ends the start with one line, exit 1, and its stack in the log', async t => {
  const dir = makeFolder(t, { 'agent.ts': 'export const graph: object = {}\n\nthrow new Error("no key")\n' })
  const service = Service.launch(t, dir, { AGENT: './agent.ts:graph' })
  const { code, stderr, log } = await service.exit
  t.equal(code, 1)
  t.match(stderr, /^AGENT must be .* received "\.\/agent\.ts:graph": it fails when it is loaded: Error: no key\n$/)
  t.match(log, /agent\.ts:3:/)
  t.notOk(existsSync(join(dir, 'conversations.sqlite')), 'nothing was opened for it')
})

t.test('after a start that an agent ended, nothing is held that another start needs', async t => {
  const dir = makeFolder(t, { 'agent.ts': `${ECHO}\nexport const text = 'graph'` })
  await t.rejects(startApp(t, { dir, env: { AGENT: join(dir, 'agent.ts:text') } }), { code: 'SETTING_INVALID' })
  t.equal((await (await startApp(t, { dir, env: { AGENT: join(dir, 'agent.ts:graph') } })).say('Hello')).body.message, 'You said: Hello')
})

t.test('AGENT beside LANGGRAPH_URL ends the start', async t => {
  await t.rejects(startApp(t, { env: { AGENT: './a.ts', LANGGRAPH_URL: 'http://localhost:1' } }), { code: 'SETTING_INVALID', message: /AGENT and LANGGRAPH_URL/ })
})

t.test('the compiled service, on plain Node.js, runs an agent in TypeScript that lies anywhere, and keeps its question over kill -9', async t => {
  const dist = makeFolder(t)
  const tsc = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--noCheck', '--outDir', dist], { cwd: ROOT, encoding: 'utf8' })
  t.equal(tsc.status, 0, tsc.stdout)
  const dir = mkdtempSync(join(tmpdir(), 'holdline-'))
  t.after(() => { rmSync(dir, { recursive: true }) })
  writeFileSync(join(dir, 'agent.ts'), ASK)
  const env = { AGENT: join(dir, 'agent.ts:graph') }
  const words = [join(dist, 'src/server.js')]
  const first = await Service.start(t, dir, env, words)
  t.match((await first.say('milk')).body, { status: 'waiting_approval', message: /Act\?/ })
  first.kill('SIGKILL')
  await first.exit
  const second = await Service.start(t, dir, env, words)
  t.equal((await second.say('yes')).body.message, 'Did: milk')
})

t.test('an agent runs on its own copy of LangGraph, which is another one than ours', async t => {
  const dir = makeFolder(t, { 'agent.ts': `${ASK}Reflect.set(globalThis, 'OtherStateGraph', StateGraph)\n`, 'pizza.ts': '' })
  const modules = realpathSync(join(ROOT, 'node_modules'))
  for (const name of ['@langchain/core', '@langchain/langgraph', '@langchain/langgraph-checkpoint', 'langchain']) {
    mkdirSync(join(dir, 'node_modules', name), { recursive: true })
    cpSync(join(modules, name), join(dir, 'node_modules', name), { recursive: true, filter: path => !/\.(map|cjs|d\.ts|d\.cts)$/.test(path) })
  }
  cpSync(join(ROOT, 'examples/pizza.ts'), join(dir, 'pizza.ts'))
  const plain = await startApp(t, { dir, env: { AGENT: join(dir, 'agent.ts:graph') } })
  const other: unknown = Reflect.get(globalThis, 'OtherStateGraph')
  t.type(other, 'function')
  t.not(other, StateGraph)
  t.match((await plain.say('milk')).body, { status: 'waiting_approval' })
  t.equal((await plain.say('yes')).body.message, 'Did: milk')
  await plain.app.close()

  const pizza = await startApp(t, { dir, env: { AGENT: join(dir, 'pizza.ts:agent') } })
  const { body } = await pizza.say('order margherita', { user_id: 'bob' })
  const decision = { user_id: 'bob', session_id: body.session_id, approved: true }
  t.match(await pizza.approve({ ...decision, edited_args: { kind: 1 } }), { status: 422 })
  t.match(await pizza.approve({ ...decision, edited_args: { kind: 'hawaii' } }), { body: { message: 'One hawaii is on its way.' } })
  const { body: { messages } } = await pizza.get(`/api/sessions/${body.session_id}/messages`)
  t.same(messages.map(({ role }) => role), ['user', 'assistant', 'tool', 'assistant'])
})
