import type { BaseMessage } from '@langchain/core/messages'
import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { isJsonObject } from '../../sessions/session.ts'
import type { Question } from '../agent.ts'
import { readQuestion, type Interrupt } from '../approvals.ts'
import { isAiMessage } from '../messages.ts'
import { RemoteFailure } from './failure.ts'
import { readRemoteMessages, type RemoteMessage } from './wire-messages.ts'

const nullable = Type.Union([Type.String(), Type.Null()])

/** Names a state of a thread that a server keeps. */
export const Checkpoint = Type.Object({
  thread_id: Type.String(),
  checkpoint_ns: Type.String(),
  checkpoint_id: nullable,
  checkpoint_map: Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()])
})
export type Checkpoint = Static<typeof Checkpoint>

const WireInterrupt = Type.Object({ id: Type.Optional(nullable), interrupt_id: Type.Optional(nullable), value: Type.Unknown() })
const Task = Type.Object({ name: Type.String(), error: Type.Optional(Type.Unknown()), interrupts: Type.Optional(Type.Array(WireInterrupt)) })
const WireState = Type.Object({
  values: Type.Unknown(),
  next: Type.Array(Type.String()),
  tasks: Type.Array(Task),
  checkpoint: Type.Union([Type.Partial(Checkpoint), Type.Null()]),
  metadata: Type.Optional(Type.Unknown())
})

/** A thread as a LangGraph server keeps it. */
export interface ThreadState {
  readonly messages: readonly BaseMessage[]
  /** The same as they came. */
  readonly remote: readonly RemoteMessage[]
  /** Steps that have not run to their end. */
  readonly next: readonly string[]
  /** In the graph's order. */
  readonly interrupts: readonly Interrupt[]
  /** Whether a step that asks was given an answer that it threw out: every other answer would meet the same end. */
  readonly isPoisoned: boolean
  /** Whether a run wrote it, to its end or to a question; not a repair. */
  readonly isOfRun: boolean
  /** Undefined as long as nothing was ever written to the thread. */
  readonly checkpoint: Checkpoint | undefined
}

/** Reads a state as a server sends it. Throws RemoteFailure if it is in no form that is known. */
export function parseState (value: unknown): ThreadState {
  if (!Value.Check(WireState, value)) throw new RemoteFailure('unreadable', 'The LangGraph server sent a state in no form that is known')
  const { values, next, tasks, checkpoint, metadata } = value
  const asking = tasks.filter(({ interrupts = [] }) => interrupts.length > 0)
  const remote = readRemoteMessages(values) ?? []
  return {
    messages: remote.map(({ message }) => message),
    remote,
    next,
    interrupts: asking.flatMap(({ name, interrupts = [] }) => interrupts.map(({ id, interrupt_id: old, value }) => ({ id: id ?? old ?? '', value, node: name }))),
    isPoisoned: asking.some(({ error }) => error !== null && error !== undefined),
    isOfRun: isJsonObject(metadata) && metadata.source === 'loop',
    checkpoint: typeof checkpoint?.checkpoint_id === 'string' ? readCheckpoint(checkpoint) : undefined
  }
}

/** What a thread waits with; undefined if it does not. */
export function readPending ({ interrupts, messages }: ThreadState): Question | undefined {
  // Of this turn: what was said before the person's message has been answered already, and its tool calls have been made.
  const asked = messages.slice(messages.findLastIndex(message => message.type === 'human') + 1).findLast(message => isAiMessage(message))
  return readQuestion({ interrupts, toolCalls: asked?.tool_calls ?? [], text: asked?.text ?? '', messageCount: messages.length })
}

function readCheckpoint (checkpoint: Partial<Checkpoint>): Checkpoint {
  return {
    thread_id: checkpoint.thread_id ?? '',
    checkpoint_ns: checkpoint.checkpoint_ns ?? '',
    checkpoint_id: checkpoint.checkpoint_id ?? null,
    checkpoint_map: checkpoint.checkpoint_map ?? null
  }
}
