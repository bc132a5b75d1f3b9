import type { Action, Decision, Dialect } from './agent.ts'
import { agentInbox } from './dialects/agent-inbox.ts'
import type { Asked, Form } from './dialects/form.ts'
import { langchain, langchainPython } from './dialects/langchain.ts'
import { anyValue, approvalRequest, text } from './dialects/plain.ts'

const FORMS: Readonly<Record<Dialect, Form>> = {
  langchain, langchain_python: langchainPython, agent_inbox: agentInbox, text, approval_request: approvalRequest, value: anyValue
}
/** In the order in which they are tried: the last one takes everything. */
const DIALECTS: readonly Dialect[] = ['langchain', 'langchain_python', 'agent_inbox', 'text', 'approval_request', 'value']

/** What an interrupt's value asks about, and in which form. */
export function readInterruptValue (value: unknown): { dialect: Dialect, asked: readonly Asked[] } {
  for (const dialect of DIALECTS) {
    const asked = FORMS[dialect].read(value)
    if (asked !== undefined) return { dialect, asked }
  }
  return { dialect: 'value', asked: anyValue.read(value) ?? [] }
}

/** The value that resumes an interrupt: one decision for each of its actions, or the graph's own value as the one decision. */
export function formatResumeValue (dialect: Dialect, decisions: readonly Decision[], actions: readonly Action[]): unknown {
  const [first] = decisions
  return first?.type === 'resume' ? first.value : FORMS[dialect].format(decisions, actions)
}

/** Reads an interrupt's own resume value as decisions; throws DECISION_REFUSED if the graph would refuse it. */
export function parseResumeValue (dialect: Dialect, resume: unknown, actions: readonly Action[]): Decision[] {
  return FORMS[dialect].parse(resume, actions)
}
