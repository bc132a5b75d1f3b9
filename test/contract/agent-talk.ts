import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { Agent, AgentEvent, Decision, Question } from '../../src/agent/agent.ts'
import type { AgentScript, AgentUnderTest, MakeAgent } from './agent-script.ts'

/** How a run is run. */
interface RunOptions {
  readonly signal?: AbortSignal
  readonly wantsTokens?: boolean
}
interface SayOptions extends RunOptions {
  readonly messageId?: string
}
interface DecideOptions extends RunOptions {
  /** The one that waits, if not given. */
  readonly question?: Question
}

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

  /** What is asked about. */
  get thing (): string {
    return this.script.things[0]
  }

  /** The same thread, as another agent on the same data sees it. */
  async reopen (): Promise<Talk> {
    return new Talk(this.under, await this.under.open(), this.threadId)
  }

  async say (text: string, options: SayOptions = {}): Promise<AgentEvent[]> {
    const { messageId = randomUUID(), signal = AbortSignal.timeout(60_000), wantsTokens = false } = options
    return await collect(this.agent.turn({ threadId: this.threadId, text, messageId, person: PERSON, signal, wantsTokens }))
  }

  /** Says hello, and what it takes to get an answer; the events of the run that answers. */
  async greet (options: SayOptions = {}): Promise<AgentEvent[]> {
    const events = await this.say(this.script.hello, options)
    return this.script.asksAtHello ? await this.allow(options) : events
  }

  /** Makes the agent ask about `thing`. */
  async ask (options: SayOptions = {}): Promise<AgentEvent[]> {
    return await this.say(this.script.ask(this.thing), options)
  }

  /** What the thread waits with. */
  async question (): Promise<Question> {
    const question = await this.agent.pending(this.threadId)
    if (question === undefined) throw new Error('Nothing is pending')
    return question
  }

  async decide (decisions: readonly Decision[], options: DecideOptions = {}): Promise<AgentEvent[]> {
    const { question, signal = AbortSignal.timeout(60_000), wantsTokens = false } = options
    const asked = question ?? await this.question()
    this.agent.checkDecisions(asked, decisions)
    return await collect(this.agent.resume({ threadId: this.threadId, question: asked, decisions, person: PERSON, signal, wantsTokens }))
  }

  /** The same decision about every action. */
  async decideAll (decision: Decision, options: DecideOptions = {}): Promise<AgentEvent[]> {
    const { actions } = options.question ?? await this.question()
    return await this.decide(actions.map(() => decision), options)
  }

  /** Says yes to each of the questions that the script tells of; the events of the last run. */
  async allow (options: RunOptions = {}): Promise<AgentEvent[]> {
    let events: AgentEvent[] = []
    for (const { length } of this.script.questions(this.thing)) {
      events = await this.decide(Array.from({ length }, () => ({ type: 'approve' })), options)
    }
    return events
  }

  async dismiss (question: Question, reason: string): Promise<void> {
    await this.agent.dismiss({ threadId: this.threadId, question, reason, person: PERSON, signal: AbortSignal.timeout(60_000) })
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
    t.match((await this.greet()).at(-1), { type: 'answer' }, 'the next message is answered')
  }
}

/** On whose behalf everything runs. */
const PERSON = { platform: 'api', userId: 'api_ann', name: 'Ann' }

/** Says aloud what is not tested, and why. */
export function skip (t: Test, reason: string): void {
  t.plan(0, reason)
}

/** What a refusal is, by its code. */
export function refusal (code: string): { name: string, code: string } {
  return { name: 'ServiceError', code }
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

/** Which tool calls a question is about; an empty id stands for what is none. */
export function readCallIds ({ actions }: Question): string[] {
  return actions.map(action => action.toolCallId)
}

async function collect (events: AsyncIterable<AgentEvent>): Promise<AgentEvent[]> {
  const collected: AgentEvent[] = []
  for await (const event of events) collected.push(event)
  return collected
}
