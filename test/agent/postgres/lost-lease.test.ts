import t from 'tap'
import type { AgentEvent, Decision } from '../../../src/agent/agent.ts'
import { createAssistant } from '../../../src/agent/assistant.ts'
import type { Conversations } from '../../../src/agent/conversations.ts'
import { LangGraphAgent } from '../../../src/agent/langgraph.ts'
import { describeAssistantRun } from '../../../src/agent/run-context.ts'
import { openPostgresConversations } from '../../../src/agent/postgres/open.ts'
import { runUnderLease, type TurnLease } from '../../../src/turn-lease.ts'
import { makeGate } from '../../fixtures/gate.ts'
import { ObedientModel } from '../../fixtures/obedient-model.ts'
import { PostgresBench } from '../../fixtures/postgres-conversations.ts'
import { PostgresServer } from '../../fixtures/postgres.ts'
import { RecordingLog } from '../../fixtures/recording-log.ts'

const person = { platform: 'api', userId: 'api_ann' }
const takenOver = { code: 'TURN_TAKEN_OVER', statusCode: 503, retryAfterSeconds: 5 }

/** The built-in agent of one replica. */
class Replica {
  readonly log = new RecordingLog()
  readonly agent: LangGraphAgent
  /** Called before the model is asked, and before a note is kept. */
  beforeModel: () => Promise<void> | void = () => {}
  beforeSave: () => Promise<void> | void = () => {}
  modelCalls = 0

  constructor (conversations: Conversations) {
    const model = new ObedientModel()
    const { _streamResponseChunks: stream } = model
    const replica = this
    model._streamResponseChunks = async function * (...args) {
      replica.modelCalls++
      yield * stream.apply(model, args)
      await replica.beforeModel()
    }
    const { notes, checkpointer } = conversations
    const { put } = notes
    notes.put = async (...args) => {
      await this.beforeSave()
      await put.apply(notes, args)
    }
    const { graph, tools } = createAssistant({ model, checkpointer, notes, log: this.log })
    this.agent = new LangGraphAgent({
      description: { kind: 'built-in' }, graph, tools, threads: conversations, log: this.log, describeRun: describeAssistantRun
    })
  }

  async turn (text: string, lease?: TurnLease): Promise<AgentEvent[]> {
    const signal = lease?.signal ?? new AbortController().signal
    return await runUnderLease(lease, async () => {
      await this.agent.pending('thread')
      return await collect(this.agent.turn({ threadId: 'thread', text, person, signal, wantsTokens: true }))
    })
  }

  async decide (decision: Decision, lease?: TurnLease): Promise<AgentEvent[]> {
    const signal = lease?.signal ?? new AbortController().signal
    return await runUnderLease(lease, async () => {
      const question = await this.agent.pending('thread')
      if (question === undefined) throw new Error('Nothing is pending')
      return await collect(this.agent.resume({ threadId: 'thread', question, decisions: [decision], person, signal }))
    })
  }

  async said (): Promise<string[]> {
    return (await this.agent.history('thread')).map(({ role, content }) => `${role}: ${content.split('\n')[0]}`)
  }
}

async function collect (events: AsyncIterable<AgentEvent>): Promise<AgentEvent[]> {
  const collected: AgentEvent[] = []
  for await (const event of events) collected.push(event)
  return collected
}

const server = await PostgresServer.start(t)
const bench = await PostgresBench.open(t, server)

t.beforeEach(async () => { await bench.clear() })

async function openTwo () {
  const open = async () => new Replica(await openPostgresConversations({ pool: bench.pool, now: Date.now, log: bench.log }))
  return { replica: await open(), successor: await open() }
}

t.test('a turn under a good lease is what it is without one', async t => {
  const { replica } = await openTwo()
  await replica.turn('hello', await bench.takeLease())
  await replica.turn('note: milk', await bench.takeLease())
  await replica.decide({ type: 'approve' }, await bench.takeLease())
  t.equal((await bench.countRows()).items, 1)
  t.match((await replica.said()).slice(-2), ['tool: Saved the note: milk', /^assistant: /])
})

t.test('lost between the yes and the tool: nothing is done, and nothing is written', async t => {
  const { replica } = await openTwo()
  await replica.turn('note: milk', await bench.takeLease())
  const before = { rows: await bench.countRows(), said: await replica.said() }
  const lease = await bench.takeLease()
  let saves = 0
  replica.beforeSave = () => { saves++ }
  lease.expire()
  await t.rejects(replica.decide({ type: 'approve' }, lease), takenOver)
  t.equal(saves, 0)
  t.same({ rows: await bench.countRows(), said: await replica.said() }, before)
  t.same(replica.log.lines, [])
})

t.test('lost between the answer of the model and the tool that it calls: the tool does not run, and the model is not told', async t => {
  const { replica, successor } = await openTwo()
  await replica.turn('note: milk', await bench.takeLease())
  await replica.decide({ type: 'approve' }, await bench.takeLease())
  const before = { rows: await bench.countRows(), said: await replica.said() }
  const lease = await bench.takeLease()
  replica.beforeModel = async () => {
    await lease.lose()
    lease.expire()
    sentBefore = bench.pool.queryCount
  }
  let sentBefore = 0
  replica.modelCalls = 0
  await t.rejects(replica.turn('notes', lease), takenOver)
  t.equal(replica.modelCalls, 1)
  t.equal(bench.pool.queryCount, sentBefore, 'no repair is tried')
  t.same({ rows: await bench.countRows(), said: await replica.said() }, before)
  t.same(replica.log.lines, [])
  t.match((await successor.turn('notes', await bench.takeLease())).at(-1), { text: /^Your notes:\n1\. milk/ })
})

t.test('lost while a tool runs, unknown to the replica: neither note nor checkpoint is written, and the successor finds the question', async t => {
  const { replica, successor } = await openTwo()
  await replica.turn('note: milk', await bench.takeLease())
  const question = await replica.agent.pending('thread')
  const before = await bench.countRows()
  const lease = await bench.takeLease()
  replica.beforeSave = async () => { await lease.lose() }
  await t.rejects(replica.decide({ type: 'approve' }, lease), takenOver)
  t.same(await bench.countRows(), before)
  t.same(replica.log.lines, [])
  t.same(await successor.agent.pending('thread'), question)
  const events = await successor.decide({ type: 'approve' }, await bench.takeLease())
  t.match(events.at(-1), { type: 'answer' })
  t.same((await bench.countRows()).items, 1)
})

t.test('lost while the model speaks: what comes too late does not write over the work of the successor', async t => {
  const { replica, successor } = await openTwo()
  await replica.turn('hello', await bench.takeLease())
  const lease = await bench.takeLease()
  const [asked, answer] = [makeGate(), makeGate()]
  replica.beforeModel = async () => {
    asked.open()
    await answer.opened
  }
  const late = replica.turn('and I come too late', lease)
  await asked.opened
  await lease.lose()
  await successor.turn('hello again', await bench.takeLease())
  answer.open()
  await t.rejects(late, takenOver)
  t.equal((await successor.said()).filter(line => line.startsWith('user: ')).join(), 'user: hello,user: hello again')
  t.same(replica.log.lines, [])
})

t.end()
