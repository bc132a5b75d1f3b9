import { join } from 'node:path'
import t, { type Test } from 'tap'
import { chooseAgent, type ChoiceOptions } from '../../src/agent/choice.ts'

const ONE = { graphs: { only: './only.ts:graph' }, env: { KEY: 'k' } }
const TWO = { graphs: { first: './first.ts:graph', second: './second.ts' } }

/** Chooses in a folder that holds this `langgraph.json`, if any. */
function choose (t: Test, options: ChoiceOptions, list?: object) {
  const cwd = process.cwd()
  process.chdir(t.testdir(list === undefined ? {} : { 'langgraph.json': JSON.stringify(list), deep: { 'other.json': JSON.stringify(list) } }))
  try {
    return { choice: chooseAgent(options), folder: process.cwd() }
  } finally {
    process.chdir(cwd)
  }
}

t.test('without anything set or found it is the built-in agent', async t => {
  t.same(choose(t, {}).choice, { kind: 'built-in' })
})

t.test('a module beats the file, relative to the working directory, and the file\'s variables are not for it', async t => {
  const { choice } = choose(t, { agent: './a.ts:graph', langgraphConfig: 'none.json', langgraphGraph: 'other' }, ONE)
  t.same(choice, { kind: 'graph', source: { setting: 'AGENT', spec: './a.ts:graph', folder: '.', name: './a.ts:graph' }, variables: {} })
})

t.test('a module elsewhere goes by its file\'s name, since /health shows it to anybody', async t => {
  t.match(choose(t, { agent: '/home/ann/a.ts:graph' }).choice, { source: { spec: '/home/ann/a.ts:graph', name: 'a.ts:graph' } })
})

t.test('a server beats the file, and is refused beside a module', async t => {
  t.same(choose(t, { langgraphUrl: 'http://x' }, ONE).choice, { kind: 'remote', url: 'http://x', assistantId: 'agent', apiKey: undefined })
  t.match(choose(t, { langgraphUrl: 'http://x', langgraphAssistantId: 'b', langgraphApiKey: 'k' }).choice, { assistantId: 'b', apiKey: 'k' })
  t.throws(() => choose(t, { langgraphUrl: 'http://x', agent: './a.ts' }), { code: 'SETTING_INVALID', message: /^AGENT and LANGGRAPH_URL must not both be set/ })
})

t.test('a langgraph.json in the working directory is found, and its only graph needs no name', async t => {
  const { choice, folder } = choose(t, {}, ONE)
  t.same(choice, {
    kind: 'graph',
    source: { setting: 'only in langgraph.json', spec: './only.ts:graph', folder, name: 'only' },
    variables: { KEY: 'k' }
  })
})

t.test('a file elsewhere is named by a setting, and its paths are relative to it', async t => {
  const { choice, folder } = choose(t, { langgraphConfig: 'deep/other.json', langgraphGraph: 'second' }, TWO)
  t.match(choice, { source: { setting: 'second in deep/other.json', spec: './second.ts', folder: join(folder, 'deep'), name: 'second' } })
})

t.test('which of several graphs has to be said, and has to be one of them', async t => {
  const reason = /^LANGGRAPH_GRAPH must be one of the graphs in langgraph\.json \(first, second\), received (nothing|"third")$/
  t.throws(() => choose(t, {}, TWO), { code: 'SETTING_INVALID', message: reason })
  t.throws(() => choose(t, { langgraphGraph: 'third' }, TWO), { code: 'SETTING_INVALID', message: reason })
  t.throws(() => choose(t, { langgraphGraph: 'other' }, ONE), { message: /\(only\), received "other"$/ })
})

t.test('what a setting names has to be there', async t => {
  t.throws(() => choose(t, { langgraphConfig: 'none.json' }), { code: 'SETTING_INVALID', message: /^LANGGRAPH_CONFIG must be a file, received "none\.json"/ })
  t.throws(() => choose(t, { langgraphGraph: 'a' }), { code: 'SETTING_INVALID', message: /^LANGGRAPH_GRAPH must be left out/ })
})
