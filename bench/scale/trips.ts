import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { connect } from 'node:net'
import type { PostgresServer } from '../../test/fixtures/postgres.ts'
import { partStatements } from '../../test/fixtures/statements.ts'

/** What one turn asked of the server. */
export interface Trips {
  /** Statements of Postgres, or commands of Redis, without those of a transaction's frame. */
  readonly own: number
  /** Those of LangGraph's checkpointer. */
  readonly conversation: number
}

interface CountedStatements extends Trips {
  /** All of them, as the server saw them. */
  readonly texts: readonly string[]
}

/** Statements that a turn costs, of a server that logs all of them; `talk` has `turns` turns run. */
export async function countStatements (server: PostgresServer, turns: number, talk: () => Promise<void>): Promise<CountedStatements> {
  let log = ''
  server.onLog = text => { log += text }
  await talk()
  server.onLog = () => {}
  const { own, conversation } = partStatements(log)
  return { own: own.length / turns, conversation: conversation.length / turns, texts: [...own, ...conversation] }
}

/** Commands that a turn costs, as MONITOR shows them; those within a script are the script's. */
export async function countCommands (port: number, turns: number, talk: () => Promise<void>): Promise<Trips> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const lines: string[] = []
  createInterface(socket).on('line', line => { lines.push(line) })
  socket.write('MONITOR\r\n')
  await once(socket, 'data')
  await talk()
  socket.destroy()
  const commands = lines.filter(line => line.includes('"') && !line.includes(' lua] '))
  const conversation = commands.filter(line => /\{holdline\}:(thread|notes)/.test(line)).length
  return { own: (commands.length - conversation) / turns, conversation: conversation / turns }
}
