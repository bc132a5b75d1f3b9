import { ServiceError } from '../../errors.ts'
import type { FileOperations, FileState } from '../csv/files.ts'
import { ifPresent } from '../csv/path.ts'
import { journalPaths } from '../csv/recovery.ts'
import { CsvSessionStore } from '../csv/store.ts'
import { makeLogNotes } from './log-notes.ts'
import type { AdminOptions, Outcome } from './options.ts'
import { count, escapeControls } from './text.ts'
import { findPath } from './view.ts'

/** A session file and its journals, by their size. */
interface Sizes {
  readonly file: FileState | undefined
  readonly journalBytes: number
}

/**
 * Does what a start and a stop of the service do to its session file: recovers, sets aside what cannot be used, writes the file alone and whole.
 *
 * @throws ServiceError FILE_LOCKED while a service has the file, FILE_INVALID if there is none.
 */
export async function compactSessions (options: AdminOptions): Promise<Outcome> {
  const { path, timeoutMs, fsync, now, newId, files } = options
  const realPath = await findPath(options)
  const before = await measure(files, realPath)
  // A start would make an empty one; whoever asks to compact has another one in mind.
  if (before.file === undefined && before.journalBytes === 0) throw new ServiceError('FILE_INVALID', { message: `There is no ${path} to compact` })
  const { log, did, warnings } = makeLogNotes()
  const store = new CsvSessionStore({ path, timeoutMs, fsync, now, newId, files, log })
  const { loaded, expired, rejected } = await store.open()
  await store.close()
  const after = await measure(files, realPath)
  const isRewritten = before.file?.ino !== after.file?.ino
  const bytes = { before: Number(before.file?.size ?? 0), journals_before: before.journalBytes, after: Number(after.file?.size ?? 0) }
  return {
    json: { path, is_rewritten: isRewritten, sessions: loaded, expired_removed: expired, rejected, bytes, messages: [...did, ...warnings] },
    text: [
      ...did.filter((message) => message.startsWith('Recovered')),
      `${path}: ${count(loaded, 'session')}, ${expired} expired removed, ${count(rejected, 'row')} set aside`,
      isRewritten
        ? `It was rewritten: ${count(bytes.before, 'byte')} and ${bytes.journals_before} of journals became ${bytes.after}`
        : 'It was as the service leaves it, and stays as it is'
    ].map((line) => `${escapeControls(line)}\n`),
    notes: warnings
  }
}

async function measure (files: FileOperations, realPath: string): Promise<Sizes> {
  const { older, current } = journalPaths(realPath)
  const journals = [await ifPresent(files.stat(older)), await ifPresent(files.stat(current))]
  return {
    file: await ifPresent(files.stat(realPath)),
    journalBytes: journals.reduce((sum, journal) => sum + Number(journal?.size ?? 0), 0)
  }
}
