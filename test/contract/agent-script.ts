import type { Test } from 'tap'
import type { Action, Agent, Decision } from '../../src/agent/agent.ts'

/** One thing that the agent under test asks about. */
export interface AskedAction extends Pick<Action, 'toolName' | 'args' | 'allowedDecisions' | 'dialect' | 'interrupt'> {
  /** Whether it is about a tool call: then the call has an id, stands in the thread, and gets a result. */
  readonly isCall: boolean
}

/** Two actions in one question. */
export interface AskedTwice {
  readonly message: string
  readonly actions: readonly [AskedAction, AskedAction]
  /** In the result of the call, the first one's or the second one's; where there is no call, in the answer. */
  readonly says: (decision: Decision, index: number) => string
}

/** Two questions can be told apart by what they are about. */
type Things = readonly [string, string]

/** What the agent under test does at which message; what it cannot be made to do is left out, and skipped aloud. */
export interface AgentScript {
  /** Answered in text alone. */
  readonly hello: string
  /** Whether it asks before it answers even that: what is said of `ask` then holds for `hello`. */
  readonly asksAtHello: boolean
  /** Answered with the person's first message of the thread in it. */
  readonly recall?: string
  /** Makes the agent run a tool that nobody is asked about, and then answer. */
  readonly useTool?: string
  /** What to ask about. */
  readonly things: Things
  /** Makes the agent ask about a thing. */
  readonly ask: (thing: string) => string
  /** What it asks then: one question after the other, each after a yes to the one before. After a yes to the last it answers. */
  readonly questions: (thing: string) => readonly [readonly AskedAction[], ...(readonly AskedAction[])[]]
  /** In the answer after the last yes, and in no other. */
  readonly done: (thing: string) => string
  /** In the answer after a no to the first question. */
  readonly refused: (reason: string) => string
  /** In the answer after a value of the person's own to the first question that is asked in words, if one is. */
  readonly told?: (value: unknown) => string
  /** The graph's own value that says no to the first question. */
  readonly resumeNo: (reason: string) => unknown
  /** Values that the graph would refuse as an answer to the first question. */
  readonly misfits: readonly unknown[]
  /** What `Talk.said` has behind the person's message once this one of its questions, from 0, was dismissed. */
  readonly dismissed: (reason: string, question: number) => readonly (string | RegExp)[]
  readonly askTwo?: AskedTwice
  /** Makes the agent ask; allowed, it asks once more. */
  readonly askAgain?: string
  /** Makes a step fail before anything is asked. */
  readonly fail?: string
  /** The same, after the result of a tool that nobody is asked about. */
  readonly failAfterTool?: string
  /** Makes the agent ask; allowed, what was asked about happens, and then a step fails. */
  readonly failAfterYes?: string
  /** Makes the agent ask; allowed, the tool fails. */
  readonly failInTool?: string
  /** Makes a step hang before anything is asked, whatever its signal says. */
  readonly hang?: string
  /** Makes the agent ask; allowed, the tool, or where there is none the step behind the question, hangs. */
  readonly hangAfterYes?: string
}

/** The agent under test, and its data. */
export interface AgentUnderTest {
  readonly script: AgentScript
  /** Each call is another agent on the same data: as after a restart. */
  readonly open: () => Promise<Agent>
  /** Resolves when something hangs that was not hanging before the call. */
  readonly hanging: () => Promise<void>
  /** What the agent does not keep, as a reason to skip the tests of it. */
  readonly lacks: { readonly pieces?: string, readonly toolSchemas?: string }
}

/** Makes the agent of one test. */
export type MakeAgent = (t: Test) => Promise<AgentUnderTest>
