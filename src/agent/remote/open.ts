import { describeUnreachable } from './reachability.ts'
import { RemoteAgent, type RemoteAgentOptions } from './remote-agent.ts'
import { LangGraphServer, type ServerOptions } from './server.ts'

/** A start is held up no longer than that by a server that does not answer. */
const GREETING_MS = 3000

/**
 * The agent of a LangGraph server. Whether the server is there, and has the assistant, is told in the log and no condition: it may be starting, too.
 */
export async function openRemoteAgent ({ maxSteps, ...options }: ServerOptions & Pick<RemoteAgentOptions, 'maxSteps'>): Promise<RemoteAgent> {
  const server = LangGraphServer.at(options)
  const { assistantId, log } = options
  let unreachable: string | undefined
  try {
    if (!await server.within(AbortSignal.timeout(GREETING_MS)).hasAssistant()) {
      log.warn({ assistant: assistantId }, 'The LangGraph server has no such assistant: look at LANGGRAPH_ASSISTANT_ID')
    }
  } catch (error) {
    unreachable = describeUnreachable(error)
    log.warn({ err: error }, 'The LangGraph server does not answer yet: turns fail until it does; look at LANGGRAPH_URL')
  }
  return new RemoteAgent(server, { maxSteps, ...(unreachable !== undefined && { unreachable }) })
}
