import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '@langchain/langgraph-sdk'
import t, { type Test } from 'tap'
import { RemoteAgent } from '../../../src/agent/remote/remote-agent.ts'
import { LangGraphServer } from '../../../src/agent/remote/server.ts'
import type { AgentUnderTest } from '../../contract/agent-script.ts'
import { Talk } from '../../contract/agent-talk.ts'
import { LangGraphProcess } from '../../fixtures/langgraph-server.ts'
import { SCRIPT } from '../../fixtures/obedient-model.ts'
import { RecordingLog } from '../../fixtures/recording-log.ts'

/** An agent on a server, on a thread of its own, and what it logs. */
function talkTo (server: LangGraphProcess, assistantId = 'agent') {
  const log = new RecordingLog()
  const agent = new RemoteAgent(LangGraphServer.at({ url: server.url, assistantId, log }), { leftOverMs: 300 })
  const under: AgentUnderTest = { script: SCRIPT, open: async () => agent, hanging: () => server.hanging(), lacks: {} }
  return { talk: new Talk(under, agent), log }
}

const connect = ({ url }: LangGraphProcess) => new Client({ apiUrl: url, apiKey: null, callerOptions: { maxRetries: 0 } })

t.test('on a LangGraph server', async t => {
  const server = await LangGraphProcess.start(t)

  t.test('questions asked side by side are one, and each gets its own answer', async t => {
    const { talk } = talkTo(server, 'parallel')
    t.match((await talk.say('go')).at(-1), {
      type: 'question', question: { actions: [{ description: 'May the first go on?', interrupt: 0 }, { description: 'May the second go on?', interrupt: 1 }] }
    })
    t.match((await talk.decide([{ type: 'reject' }, { type: 'respond', message: 'later' }])).at(-1), { type: 'answer', text: /first: no, second: later$/ })
    t.equal(await talk.agent.haveResults(talk.threadId, ['']), true)
  })

  t.test('an answer that its step throws out fails the turn, and the thread goes on', async t => {
    const { talk } = talkTo(server, 'parallel')
    await talk.say('go')
    await t.rejects(talk.decide([{ type: 'approve' }, { type: 'respond', message: 'wrong' }]), { code: 'AGENT_FAILED', cause: { detail: /This is no answer/ } })
    t.equal(await talk.agent.pending(talk.threadId), undefined)
    t.equal(await talk.agent.haveResults(talk.threadId, ['']), false)
    t.match((await talk.say('again')).at(-1), { type: 'question' })
    t.match((await talk.decide([{ type: 'approve' }, { type: 'approve' }])).at(-1), { type: 'answer', text: /first: yes, second: yes$/ })
  })

  t.test('a thread that somebody else poisoned with an answer of the wrong form takes the right one', async t => {
    const { talk } = talkTo(server)
    await talk.say(SCRIPT.ask('milk'))
    const question = await talk.question()
    await t.rejects(connect(server).runs.wait(talk.threadId, 'agent', { command: { resume: { decisions: [] } } }))
    t.same(await talk.question(), question)
    t.match((await talk.decide([{ type: 'approve' }])).at(-1), { type: 'answer', text: /milk/ })
    await talk.expectFit(t)
  })

  t.test('an assistant that is not there is named in the log by its setting', async t => {
    const { talk, log } = talkTo(server, 'nobody')
    await t.rejects(talk.say('hello'), { code: 'AGENT_FAILED', cause: { detail: /No assistant found/ } })
    t.ok(log.lines.includes('error: The LangGraph server has no such assistant: look at LANGGRAPH_ASSISTANT_ID'))
  })

  t.test('a turn whose time is up is cancelled at the server, and its caller is not held for long', async t => {
    const { talk } = talkTo(server)
    const [abort, hanging] = [new AbortController(), server.hanging()]
    const turn = talk.say('hang', { signal: abort.signal })
    await hanging
    const startedAt = performance.now()
    abort.abort(new Error('too slow'))
    await t.rejects(turn, /too slow/)
    t.ok(performance.now() - startedAt < 5000)
    t.same((await connect(server).runs.list(talk.threadId)).map(run => run.status), ['interrupted'])
  })

  for (const isAtRest of [true, false]) {
    t.test(`a run that a crash of this service left, ${isAtRest ? 'not begun' : 'begun'}, is ended, and the next message works`, async t => {
      const { talk, log } = talkTo(server)
      await talk.say(SCRIPT.hello)
      const hanging = server.hanging()
      // Nobody follows this one: as after a crash.
      await connect(server).runs.create(talk.threadId, 'agent', { input: { messages: [{ type: 'human', id: randomUUID(), content: 'hang' }] } })
      if (isAtRest) t.match((await talk.say(SCRIPT.hello)).at(-1), { type: 'answer' })
      else await hanging
      await talk.expectFit(t)
      t.notMatch((await talk.said()).join('\n'), /user: hang/)
      t.match(log.lines, ['warn: A run of the LangGraph server was still under way; it is waited for'])
      t.same(await connect(server).runs.list(talk.threadId, { status: 'running' }), [])
    })
  }
})

/** What is on the server's disk: it writes three seconds after the last request, and tells nobody. */
async function waitForDisk ({ dir }: LangGraphProcess, ...expected: readonly string[]): Promise<void> {
  const paths = ['ops', 'api.checkpointer'].map(name => join(dir, '.langgraph_api', `.langgraphjs_${name}.json`))
  for (;;) {
    const texts = await Promise.all(paths.map(path => readFile(path, 'utf8').catch(() => '')))
    const encoded = texts.join().match(/[A-Za-z0-9+/]{40,}=*/g) ?? []
    const written = [...texts, ...encoded.map(text => Buffer.from(text, 'base64').toString())].join()
    if (expected.every(text => written.includes(text))) return
    await sleep(100)
  }
}

/** The same thread at the next server on the same folder and port. */
async function restart (t: Test, server: LangGraphProcess, { threadId }: Talk) {
  await server.kill()
  const { talk: { under, agent }, log } = talkTo(await LangGraphProcess.start(t, server))
  return { talk: new Talk(under, agent, threadId), log }
}

t.test('a server that dies in the middle of a turn fails it, and after its restart the next message works', async t => {
  const server = await LangGraphProcess.start(t)
  const { talk } = talkTo(server)
  await talk.say(SCRIPT.hello)
  const hanging = server.hanging()
  const turn = talk.say('hang')
  await hanging
  await Promise.all([server.kill(), t.rejects(turn, { code: 'AGENT_FAILED', cause: { message: /^The connection to the LangGraph server broke/ } })])
  await t.rejects(talk.agent.pending(talk.threadId), { code: 'AGENT_FAILED', cause: { message: /cannot be reached/ } })
  await (await restart(t, server, talk)).talk.expectFit(t)
})

t.test('a thread that a crash of the server left busy is freed, and the next message works', async t => {
  const server = await LangGraphProcess.start(t)
  const { talk } = talkTo(server)
  await talk.say(SCRIPT.hello)
  // Nobody follows this run: as long as somebody does, the server writes nothing.
  await connect(server).runs.create(talk.threadId, 'agent', { input: { messages: [{ type: 'human', content: 'hang' }] } })
  await waitForDisk(server, '"running"', 'You said: hello you')
  const after = await restart(t, server, talk)
  await after.talk.expectFit(t)
  t.notMatch((await after.talk.said()).join('\n'), /user: hang/)
  t.match(after.log.lines.at(-1), /after a crash of the server; it is deleted/)
})

t.test('after a crash of the server behind a tool the result is kept, and nothing is asked again', async t => {
  const server = await LangGraphProcess.start(t)
  const { talk } = talkTo(server)
  await talk.say('note: hang later')
  const ids = (await talk.question()).actions.map(action => action.toolCallId)
  const { tasks } = await connect(server).threads.getState(talk.threadId)
  const id = tasks[0]?.interrupts[0]?.id ?? ''
  await connect(server).runs.create(talk.threadId, 'agent', { command: { resume: { [id]: { decisions: [{ type: 'approve' }] } } } })
  await waitForDisk(server, '"running"', 'Saved the note: hang later')
  const after = await restart(t, server, talk)
  await after.talk.expectFit(t)
  t.equal(await after.talk.agent.haveResults(talk.threadId, ids), true)
  t.match((await after.talk.said()).slice(0, 3), ['user: note: hang later', 'assistant calls save_note', 'tool: Saved the note: hang later'])
})
