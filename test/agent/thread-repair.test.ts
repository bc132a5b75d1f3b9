import t, { type Test } from 'tap'
import { AgentBench } from '../fixtures/agent.ts'

/** From its n-th write on the disk takes nothing more, until the function that this returns is called. */
function failWritesFrom (n: number, { file: { checkpointer } }: AgentBench): { repair: () => void, writes: () => number } {
  const { put, putWrites } = checkpointer
  let writes = 0
  const refuse = () => {
    if (++writes >= n) throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' })
  }
  checkpointer.put = async (...args) => {
    refuse()
    return await put.apply(checkpointer, args)
  }
  checkpointer.putWrites = async (...args) => {
    refuse()
    await putWrites.apply(checkpointer, args)
  }
  return { repair: () => { Object.assign(checkpointer, { put, putWrites }) }, writes: () => writes }
}

/** Every call has a result behind it, or providers refuse the thread for ever. */
async function checkCalls (t: Test, bench: AgentBench, what: string): Promise<void> {
  const messages = await bench.agent.history('thread')
  const results = new Set(messages.flatMap(message => message.toolCallId ?? []))
  t.same(messages.flatMap(message => message.toolCalls).filter(call => !results.has(call.id)), [], what)
}

async function forEveryWrite (run: (n: number) => Promise<number>): Promise<void> {
  for (let n = 1, writes = Infinity; n <= writes + 1; n++) writes = await run(n)
}

t.test('a failed turn whose repair fails too, at any write, does not trouble the next message', async t => {
  await forEveryWrite(async n => {
    const bench = await AgentBench.open(t)
    await bench.turn('hello')
    bench.model.hook = messages => { if (messages.at(-1)?.type === 'tool') throw new Error('model down') }
    const disk = failWritesFrom(n, bench)
    await t.rejects(bench.turn('notes'), { code: /AGENT_FAILED|CONVERSATIONS_UNAVAILABLE/ })
    disk.repair()
    bench.model.hook = () => {}
    t.equal(await bench.agent.pending('thread'), undefined)
    t.match((await bench.turn('again')).at(-1), { type: 'answer', text: /^You said: again/ }, `write ${n}`)
    await checkCalls(t, bench, `write ${n}`)
    return disk.writes()
  })
})

t.test('an answer that is cut off in its tool, and whose repair fails at any write, leaves the question to be asked again', async t => {
  await forEveryWrite(async n => {
    const bench = await AgentBench.open(t)
    await bench.turn('note: milk')
    const asked = await bench.agent.pending('thread')
    const abort = new AbortController()
    bench.beforeSave = async () => {
      abort.abort(new Error('enough'))
      await new Promise(() => {})
    }
    const disk = failWritesFrom(n, bench)
    await t.rejects(bench.resume([{ type: 'approve' }], { signal: abort.signal }))
    disk.repair()
    bench.beforeSave = () => {}
    t.same(await bench.agent.pending('thread'), asked, `write ${n}`)
    t.match((await bench.resume([{ type: 'reject', message: 'no' }])).at(-1), { type: 'answer' })
    await checkCalls(t, bench, `write ${n}`)
    return disk.writes()
  })
})

t.test('an answer whose tool ran, and whose repair fails at any write, loses neither the result nor the question', async t => {
  await forEveryWrite(async n => {
    const bench = await AgentBench.open(t)
    await bench.turn('note: milk')
    const [action] = (await bench.agent.pending('thread'))?.actions ?? []
    bench.model.hook = () => { throw new Error('model down') }
    const disk = failWritesFrom(n, bench)
    await t.rejects(bench.resume([{ type: 'approve' }]), { code: /AGENT_FAILED|CONVERSATIONS_UNAVAILABLE/ })
    disk.repair()
    bench.model.hook = () => {}
    // Where not even the result could be written, the question stands, and its claim tells the person that the outcome is unknown.
    const isAsked = await bench.agent.pending('thread') !== undefined
    const hasResult = await bench.agent.haveResults('thread', [action?.toolCallId ?? ''])
    t.not(isAsked, hasResult, `write ${n}`)
    if (isAsked) await bench.resume([{ type: 'reject' }])
    t.match((await bench.turn('again')).at(-1), { type: 'answer' })
    await checkCalls(t, bench, `write ${n}`)
    return disk.writes()
  })
})
