import t from 'tap'
import { parseGraphSpec, refuseGraph } from '../../src/agent/graph-spec.ts'

t.test('a graph is named by a file and an export, the default one without a name', async t => {
  const specs: [spec: string, path: string, exportName: string][] = [
    ['./my-agent.ts:graph', './my-agent.ts', 'graph'],
    ['my-agent.ts', 'my-agent.ts', 'default'],
    ['my-agent.ts:', 'my-agent.ts', 'default'],
    ['/agents/a b.mjs:my graph', '/agents/a b.mjs', 'my graph'],
    ['C:\\agents\\a.ts', 'C:\\agents\\a.ts', 'default'],
    ['C:\\agents\\a.ts:graph', 'C:\\agents\\a.ts', 'graph'],
    ['C:/agents/a.ts:graph', 'C:/agents/a.ts', 'graph'],
    ['C:a.ts', 'C:a.ts', 'default'],
    ['./v1:2/a.ts', './v1:2/a.ts', 'default'],
    ['./v1:2/a.ts:graph', './v1:2/a.ts', 'graph'],
    [':graph', ':graph', 'default']
  ]
  for (const [spec, path, exportName] of specs) t.same(parseGraphSpec(spec), { path, exportName }, spec)
})

t.test('a refusal is one line that says who names the graph, what it may be, what it was and why not', async t => {
  const error = refuseGraph({ setting: 'AGENT', spec: './a.ts:g', folder: '.', name: 'a' }, 'because\nof this')
  t.match(error, { code: 'SETTING_INVALID' })
  t.equal(error.message, 'AGENT must be a file and the name of a graph in it, as ./my-agent.ts:graph, received "./a.ts:g": because of this')
})
