import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StateGraph } from '@langchain/langgraph'
import t, { type Test } from 'tap'
import { loadGraph } from '../../src/agent/graph-module.ts'
import { ECHO } from '../fixtures/graph-source.ts'

function describe (folder: string, spec: string) {
  return { setting: 'AGENT', spec, folder, name: spec }
}

/** Loads what a file exports. */
async function load (t: Test, files: NonNullable<Parameters<Test['testdir']>[0]>, spec: string, timeoutMs?: number) {
  return await loadGraph(describe(t.testdir(files), spec), timeoutMs === undefined ? {} : { timeoutMs })
}

const AGENT = `
import { createAgent, fakeModel } from 'langchain'
export const agent = createAgent({ model: fakeModel(), tools: [] })
`

t.test('a graph may be exported compiled, as a builder, as an agent, or by a function that returns one, at once or later', async t => {
  const source = `${ECHO}${AGENT}
export default graph
export const promised = Promise.resolve(builder)
export const make = () => builder
export const makeLater = async config => 'configurable' in config ? graph : undefined
export const makeAgent = async () => agent
`
  for (const name of [':graph', ':builder', ':agent', ':promised', ':make', ':makeLater', ':makeAgent', '', ':default']) {
    t.ok('messages' in (await load(t, { 'agent.ts': source }, `./agent.ts${name}`)).channels, name)
  }
})

t.test('a module may be of either kind, in either language, and end in any way that says so', async t => {
  const common = ECHO.replaceAll(/import (.*) from (.*)/g, 'const $1 = require($2)').replaceAll('export const ', 'exports.')
    .replace('= builder.compile', '= exports.builder.compile')
  const whole = `${common}\nmodule.exports = makeAll()\nfunction makeAll () { return { later: exports.graph } }`
  const files: [name: string, text: string][] = [
    ['a.ts', ECHO], ['a.mts', ECHO], ['a.cts', ECHO], ['a.mjs', ECHO], ['a.js', ECHO], ['a.cjs', common], ['b.js', common], ['c.cjs', whole]
  ]
  for (const [name, text] of files) t.ok((await load(t, { [name]: text }, `${name}:${text === whole ? 'later' : 'graph'}`)).channels, name)
})

t.test('TypeScript is understood whole: enums, decorators, a tsconfig\'s paths, other files with and without their ending', async t => {
  const { name } = Object(await load(t, {
    'tsconfig.json': '{ "compilerOptions": { "experimentalDecorators": true, "paths": { "@/*": ["./lib/*"] } } }',
    'agent.ts': `
      import { Name } from '@/names.ts'
      import { Name as same } from './names.js'
      ${ECHO}
      function mark (target: Function) { Reflect.set(target, 'marked', true) }
      @mark class Marked { constructor (private readonly text: string) {} }
      if (!('marked' in Marked) || Name !== same) throw new Error('lost')
      export const named = async (_config: unknown): Promise<unknown> => (await builder).compile({ name: Name.Echo as string })`,
    lib: { 'names.ts': 'export enum Name { Echo = "echo" }' },
    'names.ts': 'export { Name } from "./lib/names"'
  }, './agent.ts:named'))
  t.equal(name, 'echo')
})

t.test('what is not there, or is no graph, ends the start with one line that says what is wrong', async t => {
  const files = {
    'agent.ts': `${ECHO}
export const text = 'graph'
export const nothing = null
export const madeText = () => 'graph'
export const broken = () => { throw new TypeError('no key\\nat all') }
export const rejected = async () => { throw new Error('no database') }
export const bare = new StateGraph(MessagesAnnotation).addNode('lost', () => ({}))
export class Agent {}
`,
    'throws.ts': 'const key: string | undefined = undefined\n\nthrow new Error("a key is needed, not " + key)',
    'syntax.ts': 'export const graph = (',
    'missing.ts': "import 'a-package-that-nobody-has'",
    'empty.ts': '',
    'agent.py': '',
    'folder.ts': {}
  }
  const folder = t.testdir(files)
  const refusals: [spec: string, reason: RegExp][] = [
    ['./other.ts:graph', /: there is no such file$/],
    ['./folder.ts:graph', /: there is no such file$/],
    ['./agent.ts:other', /: it exports no other, but .*graph/],
    ['./agent.ts', /: it exports no default, but .*builder, graph/],
    ['./empty.ts:graph', /: it exports no graph, but nothing at all$/],
    ['./agent.ts:text', /: its text must be a compiled graph, .* and is a string$/],
    ['./agent.ts:nothing', /: its nothing must be .* and is null$/],
    ['./agent.ts:madeText', /: its madeText must be .* and is a string$/],
    ['./agent.ts:broken', /: its broken fails: TypeError: no key$/],
    ['./agent.ts:rejected', /: its rejected fails: Error: no database$/],
    ['./agent.ts:Agent', /: its Agent fails: TypeError: Class constructor/],
    ['./agent.ts:bare', /: its bare cannot be compiled: .*lost/],
    ['./throws.ts:graph', /: it fails when it is loaded: Error: a key is needed/],
    ['./syntax.ts:graph', /: it fails when it is loaded: .*/],
    ['./missing.ts:graph', /: it fails when it is loaded: .*a-package-that-nobody-has/],
    ['./agent.py:graph', /Python under a LangGraph server, and set LANGGRAPH_URL/],
    ['my_agents.agent:graph', /Python under a LangGraph server/]
  ]
  for (const [spec, reason] of refusals) {
    const error: unknown = await loadGraph(describe(folder, spec)).catch((error: unknown) => error)
    t.match(error, { code: 'SETTING_INVALID', message: reason }, spec)
    t.match(error, { message: /^AGENT must be a file and the name of a graph in it, as [^\n]*$/ }, spec)
  }
})

t.test('the stack of what a module throws leads to its own line', async t => {
  const source = 'type Key = string\ninterface Unused { a: 1 }\n\nfunction check (key?: Key): never {\n  throw new Error("no key")\n}\ncheck()\n'
  await t.rejects(load(t, { 'agent.ts': source }, './agent.ts:graph'), { cause: { stack: /agent\.ts:5:/ } })
})

t.test('a graph that never comes ends the start', async t => {
  const never = 'export const graph = new Promise(() => {})\nexport const make = () => graph\n'
  for (const name of ['graph', 'make']) await t.rejects(load(t, { 'a.ts': never }, `./a.ts:${name}`, 20), { message: /: it is not ready after 0\.02 s$/ }, name)
  await t.rejects(load(t, { 'b.ts': 'await new Promise(() => {})' }, './b.ts:graph', 20), { message: /: it is not ready after 0\.02 s$/ })
})

t.test('a file with nothing installed beside it is lent our packages, one copy for both', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'holdline-'))
  t.after(() => { rmSync(folder, { recursive: true }) })
  const check = "import { z } from 'zod'\nimport { createAgent } from 'langchain'\nif (z === undefined || createAgent === undefined) throw new Error('lost')\n"
  writeFileSync(join(folder, 'agent.ts'), `${check}${ECHO}`)
  const common = "const { MessagesAnnotation, START, StateGraph } = require('@langchain/langgraph')\n" +
    "exports.graph = new StateGraph(MessagesAnnotation).addNode('a', () => ({})).addEdge(START, 'a')"
  writeFileSync(join(folder, 'agent.cjs'), common)
  const { builder } = Object(await loadGraph(describe(folder, './agent.ts:graph')))
  t.ok(builder instanceof StateGraph)
  t.ok(Object(await loadGraph(describe(folder, './agent.cjs:graph'))).builder instanceof StateGraph)
  writeFileSync(join(folder, 'whole.cjs'), common.replace('exports.graph', 'module.exports'))
  t.ok(Object(await loadGraph(describe(folder, './whole.cjs'))).builder instanceof StateGraph)
})

t.test('a module in TypeScript is loaded anew each time, and nothing is left beside it', async t => {
  const folder = t.testdir({ 'agent.ts': `${ECHO}\nReflect.set(globalThis, 'loads', (Reflect.get(globalThis, 'loads') ?? 0) + 1)` })
  await loadGraph(describe(folder, './agent.ts:graph'))
  await loadGraph(describe(folder, './agent.ts:graph'))
  t.equal(Reflect.get(globalThis, 'loads'), 2)
  t.same(readdirSync(folder), ['agent.ts'])
})
