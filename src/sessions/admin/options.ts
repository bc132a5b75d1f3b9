import type { MoveRequest } from '../../move-house.ts'
import type { MoveReport } from '../../move-report.ts'
import type { SessionServer } from '../../session-server.ts'
import type { FileOperations } from '../csv/files.ts'

/** What the operator's commands work with: the files of a service, which may be running. */
export interface AdminOptions {
  /** The session file, as it is configured. */
  readonly path: string
  /** The file of the conversations, as it is configured; for messages. */
  readonly conversationsPath: string
  readonly timeoutMs: number
  readonly fsync: 'always' | 'never'
  readonly now: () => number
  /** Makes the thread id of a row that has none. */
  readonly newId: () => string
  readonly files: FileOperations
  /** Opens the server that has the sessions instead of a file; undefined where a file has them. */
  readonly openServer: (() => Promise<SessionServer>) | undefined
  /** The names in a folder. */
  readonly listFolder: (path: string) => Promise<string[]>
  /**
   * Writes a copy of the conversations, as they are at one instant, into a file that must not exist yet, and resolves to its bytes; to undefined
   * if there are no conversations.
   */
  readonly copyConversations: (target: string) => Promise<number | undefined>
  /** Moves sessions and conversations to another store. */
  readonly move: (request: MoveRequest) => Promise<MoveReport>
}

/** What a command found or did: the same facts for people and for programs. */
export interface Outcome {
  /** Stands on stdout alone, as one document, with `--json`. */
  readonly json: object
  /** Goes to stdout otherwise; each chunk with its line ends. May be read once. */
  readonly text: Iterable<string | Buffer>
  /** Goes to stderr, a line each. */
  readonly notes?: readonly string[]
  /** Whether the exit code says that something is wrong. */
  readonly hasFailed?: boolean
}
