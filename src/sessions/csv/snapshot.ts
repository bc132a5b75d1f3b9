import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { ServiceError } from '../../errors.ts'
import type { FileOperations, FileState, OpenFile } from './files.ts'
import { readLines } from './lines.ts'
import { readRows, replayChanges, type FoundRows, type LoadOptions } from './load.ts'
import { ifPresent } from './path.ts'
import { journalPaths, readJournals, type Recovery } from './recovery.ts'

/** A session file and its journals, as they were at one instant. */
export interface Snapshot {
  /** Undefined if there is no file. */
  readonly state: FileState | undefined
  readonly sha256: string | undefined
  /** What the file says by itself. */
  readonly fileRows: FoundRows
  /** What the file says with the journals that continue it laid over. */
  readonly rows: FoundRows
  readonly recovery: Recovery
}

/** A name that was looked at, and what it led to. */
interface Held {
  readonly path: string
  /** Undefined if there was nothing. */
  readonly state: FileState | undefined
  /** Undefined if there was nothing, or nothing that is a file. */
  readonly file: OpenFile | undefined
}

interface Capture {
  readonly session: Held
  readonly journals: readonly Held[]
}

const NO_ROWS: FoundRows = { found: [], rejected: [], extraColumns: [] }

/** Looks at three names until they stand still: a rewrite moves one of them every few milliseconds at the worst. */
const MAX_LOOKS = 1000
const MAX_READS = 5
const PAUSE_MS = 50

/**
 * Reads a session file and its journals while a service may be writing them.
 *
 * *Promise.* All that was acknowledged before the call is there, and nothing that was never asked for: the rows are those that a start would find,
 * had the service been killed at an instant of the call. Nothing is changed on the disk, no lock is taken, and nobody is made to wait. For
 *
 * 1. all three names are opened, the newer journal first, the file last, and then looked at again. Where each still leads to what was opened, all
 *    of them did so at one instant. (An open file keeps its inode, so nothing else can come under that number, and no journal gets back a name that
 *    it had.) Where there was no newer journal, and then no older one, the file opened after that holds all that was acknowledged before: a journal
 *    goes from the newer name to the older one, and from there when the file holds what it held. The other way round, one that moves is missed;
 * 2. from then on the names may go where they like: a session file is never written to again, nor is the older journal, and what is still appended
 *    to the newer one makes the snapshot younger, but not wrong: it is read up to its last whole record.
 *
 * *Not promised.* Anything about a file that somebody else writes to in place at the same time, save that this is said if it shows.
 *
 * @param realPath Links resolved.
 * @throws ServiceError FILE_INVALID as a start does, STORE_UNAVAILABLE while the file is changed under the reader; an error of the disk as it is.
 */
export async function readSnapshot (files: FileOperations, realPath: string, options: LoadOptions): Promise<Snapshot> {
  for (let attempt = 1; ; attempt++) {
    const capture = await captureFiles(files, realPath)
    try {
      const { snapshot, isTorn } = await readCapture(files, realPath, capture, options)
      const isDoubtful = isTorn || snapshot.recovery.strangers.length > 0 || snapshot.recovery.fitting.some(({ isDamaged }) => isDamaged)
      if (!isDoubtful) return snapshot
      // A journal whose first record is being written looks like a stranger, and one that is being cut off looks damaged.
      await pause(PAUSE_MS)
      if (!isTorn && (attempt === MAX_READS || !await hasMoved(files, capture))) return snapshot
      if (attempt === MAX_READS) throw new ServiceError('STORE_UNAVAILABLE', { message: `${options.path} is being written to by another program; try again` })
    } finally {
      await release(capture)
    }
  }
}

async function captureFiles (files: FileOperations, realPath: string): Promise<Capture> {
  const { older, current } = journalPaths(realPath)
  for (let look = 1; look <= MAX_LOOKS; look++) {
    const held: Held[] = []
    try {
      for (const path of [current, older, realPath]) held.push(await hold(files, path))
      const [heldCurrent, heldOlder, session] = held
      if (heldOlder === undefined || heldCurrent === undefined || session === undefined) throw new TypeError('Three names were looked at')
      const journals = [heldOlder, heldCurrent]
      const hasJournal = journals.some(({ state }) => state !== undefined)
      const isStill = await leadsThere(files, heldCurrent) && await leadsThere(files, heldOlder) && (!hasJournal || await leadsThere(files, session))
      if (isStill) return { session, journals }
    } catch (error) {
      await closeAll(held)
      throw error
    }
    await closeAll(held)
  }
  throw new ServiceError('STORE_UNAVAILABLE', { message: `${realPath} and its journals do not stand still; try again` })
}

async function hold (files: FileOperations, path: string): Promise<Held> {
  const state = await ifPresent(files.lstat(path))
  // Opening a pipe would wait for somebody who writes to it.
  if (state?.kind !== 'file') return { path, state, file: undefined }
  const file = await ifPresent(files.open(path))
  try {
    return { path, state: await file?.stat(), file }
  } catch (error) {
    await file?.close()
    throw error
  }
}

async function leadsThere (files: FileOperations, { path, state }: Held): Promise<boolean> {
  const now = await ifPresent(files.lstat(path))
  return now?.dev === state?.dev && now?.ino === state?.ino
}

/** Whether anybody has been at these files since they were captured. */
async function hasMoved (files: FileOperations, { session, journals }: Capture): Promise<boolean> {
  for (const { path, state } of [session, ...journals]) {
    const now = await ifPresent(files.lstat(path))
    if (now?.ino !== state?.ino || now?.size !== state?.size || now?.mtimeNs !== state?.mtimeNs) return true
  }
  return false
}

async function readCapture (
  files: FileOperations, realPath: string, { session, journals }: Capture, options: LoadOptions
): Promise<{ snapshot: Snapshot, isTorn: boolean }> {
  const { state, file } = session
  if (state !== undefined && file === undefined) throw new ServiceError('FILE_INVALID', { message: `${options.path} is not a regular file` })
  const hash = createHash('sha256')
  const fileRows = file === undefined ? NO_ROWS : await readRows(readLines(file, (chunk) => { hash.update(chunk) }), options)
  const after = await file?.stat()
  const isTorn = after?.size !== state?.size || after?.mtimeNs !== state?.mtimeNs
  const sha256 = file === undefined ? undefined : hash.digest('hex')
  const recovery = await readJournals(present(files, journals), realPath, sha256)
  const rows = await replayChanges(fileRows, recovery.changes, options)
  return { snapshot: { state, sha256, fileRows, rows, recovery }, isTorn }
}

/** The file operations of an instant: each name leads to where it led then. */
function present (files: FileOperations, held: readonly Held[]): FileOperations {
  const find = <T>(path: string, read: (found: Held) => T | undefined): T => {
    const found = held.find((one) => one.path === path)
    const value = found === undefined ? undefined : read(found)
    if (value === undefined) throw Object.assign(new Error('There was no such file'), { code: 'ENOENT' })
    return value
  }
  return {
    ...files,
    lstat: async (path) => find(path, ({ state }) => state),
    open: async (path) => find(path, ({ file }) => file)
  }
}

async function release ({ session, journals }: Capture): Promise<void> {
  await closeAll([session, ...journals])
}

async function closeAll (held: readonly Held[]): Promise<void> {
  // A journal that was read is closed already; a second call does nothing.
  for (const { file } of held) await file?.close()
}
