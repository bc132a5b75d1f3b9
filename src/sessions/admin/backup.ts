import { dirname, join } from 'node:path'
import { ServiceError } from '../../errors.ts'
import { formatFile } from '../csv/file-text.ts'
import { formatRejected } from '../csv/load.ts'
import { findRealPath, ifPresent } from '../csv/path.ts'
import { ignoreErrors, syncFolder } from '../csv/rewrite.ts'
import { formatFileTime } from '../csv/time.ts'
import { writeFile } from './new-file.ts'
import type { AdminOptions, Outcome } from './options.ts'
import { count, escapeControls } from './text.ts'
import { readFileView, type FileView } from './view.ts'

const SESSIONS = 'sessions.csv'
const CONVERSATIONS = 'conversations.sqlite'

/** What a backup consists of. */
interface Backup {
  readonly sessions: number
  readonly sessionBytes: number
  readonly conversationBytes: number | undefined
  /** Sessions that ended while the backup was made. */
  readonly ended: number
  /** The name of the file with the rows that cannot be read, if there are any. */
  readonly rejectedFile: string | undefined
}

/**
 * Copies sessions and conversations into a folder, while a service runs or not.
 *
 * *Promise.* All that was acknowledged before the call is in the copies, and each session in them has its conversation, for
 * 1. the sessions are taken first, and the conversations after them, at one instant: what a session had been told was saved is among them;
 * 2. a session that ends takes its conversation along, and its row goes first: so the sessions are looked at once more, and one that is gone by
 *    then is left out, since its conversation may be gone from the copy.
 *
 * A conversation may be a turn ahead of its session's row. That is no harm: the thread is the truth about a pending question, and the service puts
 * the row right before the next turn. A conversation whose session is not in the backup is swept by the service that it is restored to.
 * No file in the folder is overwritten. `sessions.csv` is written last: where it is, the backup is whole; where this throws, nothing is left behind
 * but the folder.
 *
 * *Not promised.* That a session has a conversation which it had lost before.
 *
 * @throws ServiceError FILE_INVALID if there is nothing to copy, or the folder holds a backup.
 */
export async function backUp (options: AdminOptions, target: string): Promise<Outcome> {
  const before = await readFileView(options)
  // A wrong path would otherwise make a fine backup of nothing, every night.
  if (before.snapshot.state === undefined) throw new ServiceError('FILE_INVALID', { message: `There is no ${options.path} to copy` })
  const folder = await prepareFolder(options, target)
  const made: string[] = []
  try {
    const backup = await copy(options, before, folder, made)
    return report(options, target, before, backup)
  } catch (error) {
    for (const path of made) await ignoreErrors(options.files.remove(path))
    throw error
  }
}

/** Sees that nothing would be overwritten, and makes the folder if need be, for its owner alone. */
async function prepareFolder ({ files }: AdminOptions, target: string): Promise<string> {
  for (const name of [SESSIONS, CONVERSATIONS]) {
    const path = join(target, name)
    if (await ifPresent(files.lstat(path)) !== undefined) {
      throw new ServiceError('FILE_INVALID', { message: `${path} exists and is not overwritten; name a new folder` })
    }
  }
  return dirname(await findRealPath(files, join(target, SESSIONS), true))
}

/** @param made Learns the path of each file that was written. */
async function copy (options: AdminOptions, before: FileView, folder: string, made: string[]): Promise<Backup> {
  const conversations = join(folder, CONVERSATIONS)
  const conversationBytes = await options.copyConversations(conversations)
  if (conversationBytes !== undefined) {
    made.push(conversations)
    await syncFolder(options.files, folder)
  }
  const after = await readFileView(options)
  const present = new Set(after.snapshot.rows.found.map(({ session }) => session.sessionId))
  const all = [...before.live, ...before.expired]
  // Expired ones too: the service that they are restored to forgets their conversations.
  const sessions = all.filter(({ session }) => present.has(session.sessionId))
  const rejectedFile = before.rejected.length === 0 ? undefined : `sessions_rejected_${formatFileTime(before.nowMs)}.csv`
  if (rejectedFile !== undefined) {
    await writeFile(options, join(folder, rejectedFile), formatRejected(before.rejected))
    made.push(join(folder, rejectedFile))
  }
  const { bytes } = await writeFile(options, join(folder, SESSIONS), formatFile(sessions, before.snapshot.rows.extraColumns))
  return { sessions: sessions.length, sessionBytes: bytes, conversationBytes, ended: all.length - sessions.length, rejectedFile }
}

function report (
  { conversationsPath }: AdminOptions, target: string, { notes }: FileView, { sessions, sessionBytes, conversationBytes, ended, rejectedFile }: Backup
): Outcome {
  const lines = [
    `${join(target, SESSIONS)}: ${count(sessions, 'session')}, ${count(sessionBytes, 'byte')}`,
    ...conversationBytes === undefined ? [] : [`${join(target, CONVERSATIONS)}: ${count(conversationBytes, 'byte')}`],
    ...ended === 0 ? [] : [`${count(ended, 'session')} ended while the copy was made, and ${ended === 1 ? 'is' : 'are'} not in it`],
    ...rejectedFile === undefined ? [] : [`${join(target, rejectedFile)}: the rows that cannot be read`]
  ]
  return {
    json: {
      folder: target,
      sessions,
      ended_meanwhile: ended,
      sessions_bytes: sessionBytes,
      conversations_bytes: conversationBytes ?? null,
      rejected_file: rejectedFile ?? null
    },
    text: lines.map((line) => `${escapeControls(line)}\n`),
    notes: conversationBytes === undefined ? [...notes, `There is no ${conversationsPath}: the backup has no conversations`] : notes
  }
}
