import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readGraphList } from '../../src/agent/langgraph-json.ts'

const GRAPHS = { graphs: { agent: './agent.ts:graph' } }

t.test('graphs are read as both CLIs write them, among all the keys that are for others', async t => {
  const content = {
    $schema: 'https://langgra.ph/schema.json',
    node_version: '20',
    dependencies: ['.'],
    graphs: { one: './one.ts:graph', two: { path: './two.ts:graph', description: 'the second' } },
    store: { index: { dims: 8 } },
    http: { app: './app.ts:app' }
  }
  const folder = t.testdir({ 'langgraph.json': `\uFEFF${JSON.stringify(content)}` })
  t.same(readGraphList(join(folder, 'langgraph.json')), {
    folder, graphs: new Map([['one', './one.ts:graph'], ['two', './two.ts:graph']]), variables: {}
  })
})

t.test('no file is no list', async t => {
  t.equal(readGraphList(join(t.testdir({}), 'langgraph.json')), undefined)
})

t.test('env is an object of variables, the path of a file that holds them, or a list of names that are set elsewhere', async t => {
  const read = (env: unknown) => {
    const folder = t.testdir({ 'langgraph.json': JSON.stringify({ ...GRAPHS, env }), conf: { '.env': '# keys\nOPENAI_API_KEY="sk-1"\r\nEMPTY=\n' } })
    return readGraphList(join(folder, 'langgraph.json'))?.variables
  }
  t.same(read({ KEY: 'k', PORT: 1, IS_ON: true }), { KEY: 'k', PORT: '1', IS_ON: 'true' })
  t.same(read('./conf/.env'), { OPENAI_API_KEY: 'sk-1' })
  t.same(read(['OPENAI_API_KEY']), {})
  t.same(read({}), {})
})

t.test('a file that is none of LangGraph\'s ends the start with one line that says where it is wrong', async t => {
  const refusals: [text: string, reason: RegExp][] = [
    ['{"graphs": {', /: it is not JSON \(/],
    ['', /: it is not JSON \(/],
    ['[]', /: its content is not as/],
    ['{}', /: graphs is not as/],
    ['{"graphs": {}}', /: graphs is not as/],
    ['{"graphs": {"a": 1}}', /: graphs\.a is not as/],
    ['{"graphs": {"a": {"description": "x"}}}', /: graphs\.a is not as/],
    [JSON.stringify({ ...GRAPHS, env: 1 }), /: env is not as/],
    [JSON.stringify({ ...GRAPHS, env: { KEY: null } }), /: env is not as/],
    [JSON.stringify({ ...GRAPHS, env: './.env' }), /: env names the file \.\/\.env, and there is none/]
  ]
  for (const [text, reason] of refusals) {
    const path = join(t.testdir({ 'langgraph.json': text }), 'langgraph.json')
    t.throws(() => readGraphList(path), { code: 'SETTING_INVALID', message: reason }, text)
    t.throws(() => readGraphList(path), { message: /^LANGGRAPH_CONFIG must be a langgraph\.json, with graphs as [^\n]*$/ }, text)
  }
})

t.test('of a file that is not JSON nothing is shown, since it may hold keys', async t => {
  const path = join(t.testdir({ 'langgraph.json': '{"env": {"KEY": "sk-1" x' }), 'langgraph.json')
  t.throws(() => readGraphList(path), { message: /: it is not JSON \((at position \d+|somewhere)\)$/, cause: undefined })
})

t.test('a file that is there and cannot be read is not taken for none', async t => {
  const path = join(t.testdir({}), 'langgraph.json')
  mkdirSync(path)
  t.throws(() => readGraphList(path), { code: 'SETTING_INVALID', message: /cannot be read \(EISDIR/ })
})
