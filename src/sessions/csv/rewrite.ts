import { createHash } from 'node:crypto'
import { isCoded } from '../../errors.ts'
import type { FileOperations, FileState, OpenFile } from './files.ts'

/** How a new file is written. */
export interface WriteOptions {
  /** Whether to wait until the bytes would survive a power cut. */
  readonly isSynced: boolean
  /** The file whose mode and owner the new one gets; without it, 0600 and the process's own. */
  readonly like?: FileState | undefined
}

/** What was written. */
export interface WrittenFile {
  /** SHA-256 of the bytes, in hex. */
  readonly sha256: string
  /** How the file looked when its last byte was written: a rename changes no more of that than the ctime. */
  readonly state: FileState
  /** Time in which bytes were made rather than written: what it cost the event loop. */
  readonly workMs: number
}

/**
 * Writes a file that must not exist yet.
 *
 * *Promise.* The file is whole, or it is not there and this rejects.
 *
 * *Not promised.* That the folder's entry survives a power cut: `syncFolder` promises that.
 */
export async function writeNewFile (
  files: FileOperations, path: string, chunks: Iterable<Buffer> | AsyncIterable<Buffer>, { isSynced, like }: WriteOptions
): Promise<WrittenFile> {
  // Exclusively: through a link that waits under this name, we would overwrite whatever it points to.
  const file = await files.create(path)
  try {
    const { sha256, workMs } = await writeAll(file, chunks)
    const state = await file.stat()
    if (like !== undefined) await imitate(file, state, like)
    // Else a power cut after the rename leaves a file of the right name and length, filled with zeros.
    if (isSynced) await file.sync()
    // Some file systems report a failed write only here.
    await file.close()
    return { sha256, state, workMs }
  } catch (error) {
    await ignoreErrors(file.close())
    // Half a file would take the space that the next attempt needs.
    await ignoreErrors(files.remove(path))
    throw error
  }
}

/** Makes the entries of a folder survive a power cut: else a renamed or new file can be missing afterwards, or be the old one. */
export async function syncFolder (files: FileOperations, path: string): Promise<void> {
  const folder = await files.open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Waits for an operation of which nothing depends: an error that is already being reported stands in front of it. */
export async function ignoreErrors (operation: Promise<void>): Promise<void> {
  await operation.catch(() => {})
}

/**
 * Writes all of these bytes at the end of a file. On a full disk a write may end early without an error; the next one then says why.
 */
export async function writeFully (file: OpenFile, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const count = await file.write(done === 0 ? bytes : bytes.subarray(done))
    if (count === 0) throw Object.assign(new Error('The disk takes no more bytes'), { code: 'ENOSPC' })
    done += count
  }
}

async function writeAll (file: OpenFile, chunks: Iterable<Buffer> | AsyncIterable<Buffer>): Promise<{ sha256: string, workMs: number }> {
  const hash = createHash('sha256')
  let workMs = 0
  let since = performance.now()
  for await (const chunk of chunks) {
    hash.update(chunk)
    workMs += performance.now() - since
    await writeFully(file, chunk)
    since = performance.now()
  }
  return { sha256: hash.digest('hex'), workMs }
}

/** Owner first: with the mode first, a group or a stranger could read the file for a moment; and changing the owner may clear mode bits. */
async function imitate (file: OpenFile, own: FileState, like: FileState): Promise<void> {
  if (own.uid !== like.uid || own.gid !== like.gid) await giveAway(file, like)
  if (own.mode !== like.mode) await file.chmod(like.mode)
}

async function giveAway (file: OpenFile, { uid, gid }: FileState): Promise<void> {
  try {
    await file.chown(uid, gid)
  } catch (error) {
    // Only root gives files away; a service that may replace somebody else's file goes on as its new owner.
    if (!isCoded(error, 'EPERM')) throw error
  }
}
