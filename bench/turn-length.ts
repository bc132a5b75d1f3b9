import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HumanMessage } from '@langchain/core/messages'
import { InMemoryStore, type BaseCheckpointSaver } from '@langchain/langgraph'
import { SqliteSaver } from '@langchain/langgraph-checkpoint-sqlite'
import Database from 'better-sqlite3'
import { createAssistant } from '../src/agent/assistant.ts'
import { ConversationFile } from '../src/agent/checkpointer.ts'
import { LangGraphAgent } from '../src/agent/langgraph.ts'
import { readMessages } from '../src/agent/messages.ts'
import { OfflineModel } from '../src/agent/offline-model.ts'
import { describeAssistantRun } from '../src/agent/run-context.ts'
import { median } from './store/median.ts'
import { formatNumber, printAims, printTable, type Aim } from './store/report.ts'

/** What a turn costs around these turns of one thread: the median of ten. */
const MARKS = [10, 100, 500]
const BEFORE = 5
const AFTER = 5
/** Turns that are not measured, so that the first ones are not those of a cold engine. */
const WARM_UP_TURNS = 150

/** One way to keep a conversation. */
interface Contender {
  readonly turn: (text: string) => Promise<void>
  /** The messages of the thread as JSON: what there is to keep. */
  readonly messageBytes: () => Promise<number>
  readonly close: () => Promise<void>
}

interface Result {
  readonly turnMs: readonly number[]
  readonly fileBytes: number
  readonly messageBytes: number
}

const SILENT = { info () {}, warn () {}, error () {} }
const CONFIG = { configurable: { thread_id: 'thread' } }

function assemble (checkpointer: BaseCheckpointSaver) {
  return createAssistant({ model: new OfflineModel(), checkpointer, notes: new InMemoryStore(), log: SILENT })
}

/** A bare graph, with LangGraph's default durability. */
function contend (checkpointer: BaseCheckpointSaver, close: () => Promise<void>, rest: () => Promise<void> = async () => {}): Contender {
  const { graph } = assemble(checkpointer)
  const context = { platform: 'api', userId: 'ann', approved: [] }
  return {
    turn: async text => {
      await graph.invoke({ messages: [new HumanMessage(text)] }, { ...CONFIG, context })
      await rest()
    },
    messageBytes: async () => Buffer.byteLength(JSON.stringify(readMessages((await graph.getState(CONFIG)).values))),
    close
  }
}

async function openHoldline (path: string): Promise<Contender> {
  const file = await ConversationFile.open({ path })
  const { graph, tools } = assemble(file.checkpointer)
  const agent = new LangGraphAgent({ description: { kind: 'built-in', model: 'offline' }, graph, tools, threads: file, log: SILENT, describeRun: describeAssistantRun })
  const person = { platform: 'api', userId: 'ann' }
  return {
    ...contend(file.checkpointer, async () => { await file.close() }),
    turn: async text => {
      const events = agent.turn({ threadId: 'thread', text, person, signal: AbortSignal.timeout(60_000) })
      while ((await events.next()).done !== true);
    }
  }
}

async function openOurs (path: string): Promise<Contender> {
  const file = await ConversationFile.open({ path })
  return contend(file.checkpointer, async () => { await file.close() }, async () => { await file.prune('thread', { isResting: true }) })
}

async function openPlain (path: string): Promise<Contender> {
  const db = new Database(path)
  return contend(new SqliteSaver(db), async () => { db.close() })
}

async function runTurns (open: (path: string) => Promise<Contender>, count: number): Promise<Result> {
  const dir = await mkdtemp(join(tmpdir(), 'holdline-bench-'))
  try {
    const path = join(dir, 'conversations.sqlite')
    const contender = await open(path)
    const times: number[] = []
    for (let index = 0; index < count; index++) {
      const startedAt = performance.now()
      await contender.turn(`This is message ${index + 1} of one person who does not stop talking to us`)
      times.push(performance.now() - startedAt)
    }
    const messageBytes = await contender.messageBytes()
    await contender.close()
    const turnMs = MARKS.map(mark => median(times.slice(mark - BEFORE, mark + AFTER)))
    return { turnMs, messageBytes, fileBytes: (await stat(path)).size }
  } finally {
    await rm(dir, { recursive: true })
  }
}

/** What a turn costs the longer its conversation is, and what the file grows to: ours against LangGraph's own saver as people use it, in one run. */
export async function compareLengths (): Promise<void> {
  const turns = Math.max(...MARKS) + AFTER
  const rows: string[][] = []
  const aims: Aim[] = []
  for (const [what, open] of [['Holdline', openHoldline], ['graph.invoke, our checkpointer', openOurs], ['graph.invoke, SqliteSaver', openPlain]] as const) {
    await runTurns(open, WARM_UP_TURNS)
    const { turnMs, fileBytes, messageBytes } = await runTurns(open, turns)
    const growth = (turnMs.at(-1) ?? Number.NaN) / (turnMs[0] ?? Number.NaN)
    const size = fileBytes / messageBytes
    rows.push([what, ...turnMs.map(formatNumber), `${formatNumber(growth)}×`, formatNumber(fileBytes / 1e6), `${formatNumber(size)}×`])
    if (open !== openHoldline) continue
    aims.push({ what: `A turn at turn ${MARKS.at(-1)}, in turns at turn ${MARKS[0]}`, value: growth, unit: '×', bound: { atMost: 2 } })
    aims.push({ what: `The file after ${turns} turns, in its messages as JSON`, value: size, unit: '×', bound: { atMost: 5 } })
  }
  const head = ['', ...MARKS.map(mark => `ms at turn ${mark}`), 'growth', 'file, MB', 'to its messages']
  printTable(`One conversation of ${turns} turns, offline model; ms a turn, median of ${BEFORE + AFTER}`, head, rows)
  printAims('Aims', aims)
}
