import type { Client } from '@langchain/langgraph-sdk'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { Log } from '../../log.ts'
import type { JsonObject } from '../../sessions/session.ts'
import { makeClients, type ClientOptions, type Clients } from './clients.ts'
import { readFailure, RemoteFailure } from './failure.ts'
import { parseState, type Checkpoint, type ThreadState } from './thread-state.ts'

/** Which LangGraph server, and which of its agents. */
export interface ServerOptions extends ClientOptions {
  /** The name of a graph, or the id of an assistant. */
  readonly assistantId: string
  readonly log: Log
}

/** What begins a run. */
export interface RunStart {
  readonly input?: JsonObject | null
  readonly command?: { readonly resume: unknown, readonly update?: JsonObject }
  readonly context?: Record<string, unknown>
  /** Steps that the graph may take. */
  readonly maxSteps?: number | undefined
  readonly wantsTokens?: boolean
}

/** A piece of what a run reports. */
export interface RunPart {
  readonly event: string
  readonly data: unknown
}

/** A change of a thread's state, as if a step of the graph had made it. */
export interface StateChange {
  readonly values: JsonObject | null
  readonly asNode: string
  /** The state that is changed, if not the newest. */
  readonly checkpoint?: Checkpoint
}

const Runs = Type.Array(Type.Object({ run_id: Type.String() }))
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/**
 * The calls of a LangGraph server that an agent needs.
 *
 * *Promise.* Nothing that begins or changes something is ever sent twice by itself. What is thrown is a `RemoteFailure`, or the reason of a signal;
 * neither it nor the log holds a key.
 */
export class LangGraphServer {
  readonly assistantId: string
  readonly log: Log
  readonly #reads: Client
  readonly #writes: Client
  readonly #ping: Clients['ping']
  readonly #signal: AbortSignal | undefined

  private constructor (assistantId: string, log: Log, clients: Clients, signal?: AbortSignal) {
    this.assistantId = assistantId
    this.log = log
    this.#reads = clients.reads
    this.#writes = clients.writes
    this.#ping = clients.ping
    this.#signal = signal
  }

  /** Makes no connection yet. */
  static at ({ assistantId, log, ...options }: ServerOptions): LangGraphServer {
    return new LangGraphServer(assistantId, log, makeClients(options))
  }

  /** The same server, every call of which ends with the signal. */
  within (signal: AbortSignal): LangGraphServer {
    return new LangGraphServer(this.assistantId, this.log, { reads: this.#reads, writes: this.#writes, ping: this.#ping }, signal)
  }

  /** Whether the server is there and well; throws if it is not. Needs `within`, or it may wait for ever. */
  async ping (): Promise<void> {
    await this.#ping(this.#signal ?? new AbortController().signal)
  }

  /** The newest state of a thread; undefined if the server does not know the thread. */
  async readState (threadId: string): Promise<ThreadState | undefined> {
    try {
      return parseState(await this.#call(options => this.#reads.threads.getState(threadId, undefined, options)))
    } catch (error) {
      if (isStatus(error, 404)) return undefined
      throw error
    }
  }

  /** The newest states of a thread, newest first. */
  async listStates (threadId: string, limit: number): Promise<ThreadState[]> {
    return (await this.#call(options => this.#reads.threads.getHistory(threadId, { limit, ...options }))).map(parseState)
  }

  async updateState (threadId: string, change: StateChange): Promise<void> {
    // The SDK's type knows no null, which is how a step says that it changes nothing.
    await this.#call(options => this.#writes.threads.updateState<JsonObject | null>(threadId, { ...change, ...options }))
  }

  /** Removes a thread; one that the server does not know is no error. */
  async deleteThread (threadId: string): Promise<void> {
    await this.#call(options => this.#writes.threads.delete(threadId, options)).catch(ignore(404))
  }

  /** The runs of a thread that have not ended; none of a thread that the server does not know. */
  async listActiveRuns (threadId: string): Promise<string[]> {
    // The server's own choice by status: it keeps every run that ever was.
    const lists = await Promise.all((['running', 'pending'] as const).map(status =>
      this.#call(options => this.#reads.runs.list(threadId, { status, limit: 100, ...options })).catch(ignore(404))))
    return lists.flatMap(runs => Value.Check(Runs, runs) ? runs.map(run => run.run_id) : [])
  }

  /**
   * Asks a run to end. The answer is waited for `patienceMs` and no longer: JavaScript's server takes `wait=0` for true, and a run that it lost never
   * ends.
   */
  async cancelRun (threadId: string, runId: string, patienceMs: number): Promise<void> {
    const patience = AbortSignal.timeout(patienceMs)
    const signal = this.#signal === undefined ? patience : AbortSignal.any([this.#signal, patience])
    try {
      await this.#call(() => this.#writes.runs.cancel(threadId, runId, false, 'interrupt', { signal }))
    } catch (error) {
      if (!patience.aborted && !isStatus(error, 404, 409)) throw error
    }
  }

  /** Removes a run, and what it wrote to the thread with it. */
  async deleteRun (threadId: string, runId: string): Promise<void> {
    await this.#call(options => this.#writes.runs.delete(threadId, runId, options)).catch(ignore(404))
  }

  /** Whether there is such an assistant. */
  async hasAssistant (): Promise<boolean> {
    if (!UUID.test(this.assistantId)) {
      return (await this.#call(options => this.#reads.assistants.search({ graphId: this.assistantId, limit: 1, ...options }))).length > 0
    }
    try {
      await this.#call(options => this.#reads.assistants.get(this.assistantId, options))
      return true
    } catch (error) {
      if (isStatus(error, 404)) return false
      throw error
    }
  }

  /** Begins a run on a thread, made if there is none, and follows it. Throws with status 422 or 409 where another run is under way. */
  async * run (threadId: string, { wantsTokens = false, maxSteps, ...start }: RunStart): AsyncGenerator<RunPart> {
    const signal = this.#signal
    try {
      yield * this.#writes.runs.stream(threadId, this.assistantId, {
        ...start,
        ...(maxSteps !== undefined && { config: { recursion_limit: maxSteps } }),
        streamMode: wantsTokens ? ['values', 'messages-tuple'] : ['values'],
        streamSubgraphs: false,
        ifNotExists: 'create',
        multitaskStrategy: 'reject',
        // A run whose caller died goes on: what it did is found in the thread, while a run that is cut off may have done anything.
        onDisconnect: 'continue',
        ...(signal !== undefined && { signal })
      })
    } catch (error) {
      signal?.throwIfAborted()
      throw this.#report(error)
    }
    // The SDK ends quietly when its signal does.
    signal?.throwIfAborted()
  }

  async #call<T> (call: (options: { signal?: AbortSignal }) => Promise<T>): Promise<T> {
    const signal = this.#signal
    try {
      return await call(signal === undefined ? {} : { signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw this.#report(error)
    }
  }

  /** What the operator alone can mend gets a line of its own. */
  #report (error: unknown): unknown {
    const failure = readFailure(error)
    const status = failure instanceof RemoteFailure ? failure.status : undefined
    if (status === 401 || status === 403) this.log.error({ status }, 'The LangGraph server refuses the key: look at LANGGRAPH_API_KEY')
    if (status === 404 && failure instanceof RemoteFailure && /\b(assistant|graph)\b/i.test(failure.detail)) {
      this.log.error({ assistant: this.assistantId }, 'The LangGraph server has no such assistant: look at LANGGRAPH_ASSISTANT_ID')
    }
    return failure
  }
}

/** Whether a server answered with one of these. */
export function isStatus (error: unknown, ...statuses: readonly number[]): boolean {
  return error instanceof RemoteFailure && error.status !== undefined && statuses.includes(error.status)
}

function ignore (...statuses: readonly number[]): (error: unknown) => void {
  return error => { if (!isStatus(error, ...statuses)) throw error }
}
