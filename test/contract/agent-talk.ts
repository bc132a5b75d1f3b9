import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { Agent, AgentEvent, Decision, Question } from '../../src/agent/agent.ts'

/** What the agent under test does at which message; what it cannot be made to do is left out, and not tested. */
export interface AgentScript {
  /** Answered at once, in text alone. */
  readonly hello: string
  /** Answered with the person's first message of the thread in it. */
  readonly recall: string
  /** Makes the agent run a tool that nobody is asked about, and then answer. */
  readonly useTool?: string
  /** Makes the agent ask about one call of `tool` with the arguments `{ text }`; allowed, it answers with the text in it. */
  readonly ask: (text: string) => string
  readonly tool: string
  readonly allowedDecisions: readonly string[]
  /** Makes the agent ask about two calls at once, in this order. */
  readonly askTwo?: (first: string, second: string) => string
  /** Makes the agent ask; allowed, it asks once more. */
  readonly askAgain?: string
  /** Makes the model fail. */
  readonly fail?: string
  /** The same, after the result of a tool that nobody is asked about. */
  readonly failAfterTool?: string
  /** Makes the agent ask; allowed, the tool runs, and then the model fails. */
  readonly failAfterYes?: string
  /** Makes the agent ask; allowed, the tool fails. */
  readonly failInTool?: string
  /** Makes the model hang, whatever its signal says. */
  readonly hang?: string
  /** Makes the agent ask; allowed, the tool hangs. */
  readonly hangInTool?: string
}

/** The agent under test, and its data. */
export interface AgentUnderTest {
  readonly script: AgentScript
  /** Each call is another agent on the same data: as after a restart. */
  readonly open: () => Promise<Agent>
  /** Resolves when something hangs that was not hanging before the call. */
  readonly hanging: () => Promise<void>
  /** What the agent does not keep, as a reason to skip the tests of it. */
  readonly lacks: { readonly tokens?: string, readonly mixedDecisions?: string, readonly toolSchemas?: string }
}

/** Makes the agent of one test. */
export type MakeAgent = (t: Test) => Promise<AgentUnderTest>

/** An agent and a thread of its own, for one test. */
export class Talk {
  readonly agent: Agent
  readonly threadId: string
  readonly under: AgentUnderTest

  constructor (under: AgentUnderTest, agent: Agent, threadId: string = randomUUID()) {
    this.under = under
    this.agent = agent
    this.threadId = threadId
  }

  static async start (t: Test, makeAgent: MakeAgent, threadId?: string): Promise<Talk> {
    const under = await makeAgent(t)
    return new Talk(under, await under.open(), threadId)
  }

  get script (): AgentScript {
    return this.under.script
  }

  /** The same thread, as another agent on the same data sees it. */
  async reopen (): Promise<Talk> {
    return new Talk(this.under, await this.under.open(), this.threadId)
  }

  async say (text: string, { messageId = randomUUID(), signal = AbortSignal.timeout(60_000), wantsTokens = false } = {}): Promise<AgentEvent[]> {
    return await collect(this.agent.turn({ threadId: this.threadId, text, messageId, person: PERSON, signal, wantsTokens }))
  }

  /** What the thread waits with. */
  async question (): Promise<Question> {
    const question = await this.agent.pending(this.threadId)
    if (question === undefined) throw new Error('Nothing is pending')
    return question
  }

  async decide (
    decisions: readonly Decision[],
    { question, signal = AbortSignal.timeout(60_000), wantsTokens = false }: { question?: Question, signal?: AbortSignal, wantsTokens?: boolean } = {}
  ): Promise<AgentEvent[]> {
    const asked = question ?? await this.question()
    this.agent.checkDecisions(asked, decisions)
    return await collect(this.agent.resume({ threadId: this.threadId, question: asked, decisions, person: PERSON, signal, wantsTokens }))
  }

  /** Every message as `role: text`, or `role calls tool`. */
  async said (): Promise<string[]> {
    return (await this.agent.history(this.threadId)).map(({ role, content, toolCalls }) =>
      toolCalls.length > 0 ? `${role} calls ${toolCalls.map(call => call.name).join(', ')}` : `${role}: ${content}`)
  }

  /** Fails unless the thread is fit for the next message: nothing is pending, no call is without a result, and the agent answers. */
  async expectFit (t: Test): Promise<void> {
    t.equal(await this.agent.pending(this.threadId), undefined, 'nothing is pending')
    const messages = await this.agent.history(this.threadId)
    const answered = new Set(messages.map(message => message.toolCallId))
    t.same(messages.flatMap(message => message.toolCalls).filter(call => !answered.has(call.id)), [], 'every call has a result')
    t.same(messages.filter((message, index) => message.role === 'user' && messages[index + 1]?.role === 'user'), [], 'every message has its answer')
    t.match((await this.say(this.script.hello)).at(-1), { type: 'answer' }, 'the next message is answered')
  }
}

/** On whose behalf everything runs. */
export const PERSON = { platform: 'api', userId: 'api_ann', name: 'Ann' }

/** Says aloud what is not tested, and why. */
export function skip (t: Test, reason: string): void {
  t.plan(0, reason)
}

/** The tokens behind the last result of a tool. */
export function joinTokens (events: readonly AgentEvent[]): string {
  const start = events.findLastIndex(event => event.type === 'tool_result') + 1
  return events.slice(start).flatMap(event => event.type === 'token' ? event.text : []).join('')
}

/** The text of the answer that the events end with. */
export function readAnswer (events: readonly AgentEvent[]): string {
  const last = events.at(-1)
  if (last?.type !== 'answer') throw new Error(`The turn ended with ${last?.type}`)
  return last.text
}

async function collect (events: AsyncIterable<AgentEvent>): Promise<AgentEvent[]> {
  const collected: AgentEvent[] = []
  for await (const event of events) collected.push(event)
  return collected
}
