import t from 'tap'
import { AgentBench } from '../fixtures/agent.ts'
import { makeFolder } from '../fixtures/folder.ts'
import { makeGate } from '../fixtures/gate.ts'
import { LOADER } from '../fixtures/loader.ts'

t.test('a turn yields what happens, in order, and ends with the answer', async t => {
  const bench = await AgentBench.open(t)
  const events = await bench.turn('what time is it?')
  t.match(events, [
    { type: 'tool_call', name: 'current_time', args: {} },
    { type: 'tool_result', name: 'current_time', content: /^\d{4}-/ },
    { type: 'answer', text: /^It is \d{4}-/, model: 'offline' }
  ])
  t.equal(events.length, 3)
})

t.test('a question waits in the thread until it is answered', async t => {
  const bench = await AgentBench.open(t)
  const events = await bench.turn('note: milk')
  t.match(events.at(-1), { type: 'question', question: { actions: [{ toolName: 'save_note', args: { text: 'milk' } }], text: '' } })
  const question = await bench.agent.pending('thread')
  t.match(events.at(-1), { question: { fingerprint: question?.fingerprint } })
  t.match(await bench.resume([{ type: 'approve' }]), [{ type: 'tool_result', content: 'Saved the note: milk' }, { type: 'answer', text: /Saved the note/ }])
  t.equal(await bench.agent.pending('thread'), undefined)
  await t.rejects(bench.resume([{ type: 'approve' }]), /Nothing is pending/)
})

t.test('an equal question asked later is another question', async t => {
  const bench = await AgentBench.open(t)
  await bench.turn('note: milk')
  const first = await bench.agent.pending('thread')
  await bench.resume([{ type: 'reject' }])
  await bench.turn('note: milk')
  t.not((await bench.agent.pending('thread'))?.fingerprint, first?.fingerprint)
})

t.test('a stale question is not resumed', async t => {
  const bench = await AgentBench.open(t)
  await bench.turn('note: milk')
  const question = await bench.agent.pending('thread')
  await bench.resume([{ type: 'approve' }])
  await t.rejects(async () => {
    if (question === undefined) return
    const run = bench.agent.resume({ threadId: 'thread', question, decisions: [{ type: 'approve' }], person: { platform: 'api', userId: 'u' }, signal: AbortSignal.timeout(60_000) })
    for await (const event of run) t.fail(event.type)
  }, { code: 'APPROVAL_NOT_PENDING' })
})

t.test('after a model that failed, the message is not in the thread, on its first turn and later', async t => {
  const bench = await AgentBench.open(t)
  const fail = () => { throw new Error('model down') }
  bench.model.hook = fail
  await t.rejects(bench.turn('lost'), { code: 'AGENT_FAILED', cause: { message: 'model down' } })
  t.same(await bench.said(), [])
  bench.model.hook = () => {}
  await bench.turn('kept')
  bench.model.hook = fail
  await t.rejects(bench.turn('lost too'), { code: 'AGENT_FAILED' })
  bench.model.hook = () => {}
  await bench.turn('what did I say first?')
  t.same(await bench.said(), ['user: kept', 'assistant: You said: kept', 'user: what did I say first?', 'assistant: You said first: "kept"'])
})

t.test('after a failure the result of a tool that ran is in the thread, and no call is without one', async t => {
  const bench = await AgentBench.open(t)
  await bench.turn('hello')
  bench.model.hook = messages => { if (messages.at(-1)?.type === 'tool') throw new Error('model down') }
  await t.rejects(bench.turn('notes'), { code: 'AGENT_FAILED' })
  t.same((await bench.said()).slice(2), ['assistant calls list_notes', 'tool: There are no notes.'])
  bench.model.hook = () => {}
  t.match((await bench.turn('again')).at(-1), { type: 'answer' })
})

t.test('a run that its signal ends throws the signal\'s reason, at once, and leaves the thread fit', async t => {
  const bench = await AgentBench.open(t)
  const reached = makeGate()
  const gate = makeGate()
  bench.model.hook = async () => {
    reached.open()
    await gate.opened
  }
  const abort = new AbortController()
  const turn = bench.turn('lost', { signal: abort.signal })
  await reached.opened
  const reason = new Error('enough')
  abort.abort(reason)
  await t.rejects(turn, reason)
  gate.open()
  bench.model.hook = () => {}
  await bench.turn('kept')
  t.same(await bench.said(), ['user: kept', 'assistant: You said: kept'])
})

t.test('an answer that is cut off while its tool runs leaves the question as it was asked', async t => {
  const bench = await AgentBench.open(t)
  await bench.turn('note: milk')
  const asked = await bench.agent.pending('thread')
  const reached = makeGate()
  bench.beforeSave = async () => {
    reached.open()
    await new Promise(() => {})
  }
  const abort = new AbortController()
  const resumed = bench.resume([{ type: 'approve' }], { signal: abort.signal })
  await reached.opened
  abort.abort(new Error('enough'))
  await t.rejects(resumed, /enough/)
  t.same(await bench.agent.pending('thread'), asked)
  bench.beforeSave = () => {}
  // Another answer than the one that was cut off: it counts, not the first one.
  t.match((await bench.resume([{ type: 'reject', message: 'too late' }])).at(-1), { type: 'answer', text: /too late/ })
  t.match((await bench.turn('notes')).at(-1), { text: /no notes/ })
})

t.test('a yes is used up by a tool that fails', async t => {
  const bench = await AgentBench.open(t)
  await bench.turn('note: milk')
  bench.beforeSave = () => { throw new Error('disk full') }
  t.match((await bench.resume([{ type: 'approve' }])).at(-1), { type: 'answer', text: /save_note failed/ })
  t.equal(await bench.agent.pending('thread'), undefined)
})

t.test('a yes is used up by a model that fails after the tool ran', async t => {
  const bench = await AgentBench.open(t)
  await bench.turn('note: milk')
  bench.model.hook = () => { throw new Error('model down') }
  await t.rejects(bench.resume([{ type: 'approve' }]), { code: 'AGENT_FAILED' })
  t.equal(await bench.agent.pending('thread'), undefined)
  bench.model.hook = () => {}
  t.match((await bench.turn('notes')).at(-1), { text: /^Your notes:\n1\. milk\n\(/ })
})

t.test('decisions are held against the question before anything happens', async t => {
  const bench = await AgentBench.open(t)
  await bench.turn('note: milk')
  const question = await bench.agent.pending('thread')
  t.ok(question)
  if (question === undefined) return
  const { agent } = bench
  t.throws(() => { agent.checkDecisions(question, []) }, { code: 'DECISION_REFUSED' })
  t.throws(() => { agent.checkDecisions(question, [{ type: 'respond', message: 'x' }]) }, { code: 'DECISION_REFUSED', message: /allows approve, edit, reject/ })
  t.throws(() => { agent.checkDecisions(question, [{ type: 'edit', args: { text: 1 } }]) }, { code: 'DECISION_REFUSED', message: /text/ })
  t.throws(() => agent.parseResume(question, { decisions: [{ type: 'edit', editedAction: { name: 'list_notes', args: {} } }] }), { code: 'DECISION_REFUSED' })
  t.doesNotThrow(() => { agent.checkDecisions(question, [{ type: 'edit', args: { text: 'x' } }]) })
  t.same(await agent.pending('thread'), question)
})

t.test('a thread and its question outlive the process, and a forgotten one is gone', async t => {
  const dir = makeFolder(t)
  const { spawnSync } = await import('node:child_process')
  const child = spawnSync(process.execPath, [LOADER, new URL('../fixtures/ask-and-die.ts', import.meta.url).pathname, dir], { encoding: 'utf8' })
  t.equal(child.signal, 'SIGKILL', child.stderr)
  const bench = await AgentBench.open(t, dir)
  t.match((await bench.resume([{ type: 'approve' }])).at(-1), { text: /milk/ })
  t.match(await bench.agent.listThreads('', 10), [{ threadId: 'thread' }])
  await bench.agent.forget('thread')
  t.same(await bench.agent.history('thread'), [])
  t.same(await bench.agent.listThreads('', 10), [])
  await bench.agent.forget('thread')
})

t.test('several actions of which one is cut off: what ran is kept, the other has a result that says so', async t => {
  const bench = await AgentBench.open(t)
  bench.model.notes = ['quick', 'slow']
  await bench.turn('both')
  const reached = makeGate()
  const saved = makeGate()
  bench.beforeSave = async text => {
    if (text !== 'slow') return
    reached.open()
    await new Promise(() => {})
  }
  const { put } = bench.file.notes
  bench.file.notes.put = async (...args) => {
    await put.apply(bench.file.notes, args)
    saved.open()
  }
  const abort = new AbortController()
  const resumed = bench.resume([{ type: 'approve' }, { type: 'approve' }], { signal: abort.signal })
  await Promise.all([reached.opened, saved.opened])
  // The quick call's result is taken in before the run is ended.
  await new Promise(resolve => setImmediate(resolve))
  abort.abort(new Error('enough'))
  await t.rejects(resumed, /enough/)
  t.equal(await bench.agent.pending('thread'), undefined)
  t.equal(await bench.agent.haveResults('thread', ['call_quick']), true)
  t.equal(await bench.agent.haveResults('thread', ['call_quick', 'call_slow']), false)
  bench.model.notes = []
  t.match((await bench.turn('hello')).at(-1), { type: 'answer' })
})

t.test('an approved call that is cut off beside a rejected one is asked about again', async t => {
  const bench = await AgentBench.open(t)
  bench.model.notes = ['no', 'slow']
  await bench.turn('both')
  const asked = await bench.agent.pending('thread')
  const reached = makeGate()
  bench.beforeSave = async () => {
    reached.open()
    await new Promise(() => {})
  }
  const abort = new AbortController()
  const resumed = bench.resume([{ type: 'reject' }, { type: 'approve' }], { signal: abort.signal })
  await reached.opened
  await new Promise(resolve => setImmediate(resolve))
  abort.abort(new Error('enough'))
  await t.rejects(resumed, /enough/)
  t.same(await bench.agent.pending('thread'), asked)
})
