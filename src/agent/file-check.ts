import { accessSync, constants, statfsSync, statSync } from 'node:fs'
import { dirname, extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import Database from 'better-sqlite3'

/** A few turns' worth. Below it, the next turn would fail again, and the one after it. */
const MIN_FREE_BYTES = 1024 * 1024

/** What a check in a thread of its own found: the error, or nothing. */
export const Verdict = Type.Union([Type.Null(), Type.Object({ code: Type.Optional(Type.String()), message: Type.String() })])

/**
 * Whether the file of the conversations can be trusted again after its disk failed; rejects if not. Nobody may have it open.
 *
 * *Promise.* When it resolves, what the file holds is whole by SQLite's quick_check, synced, and all in one file: the write-ahead log is folded in.
 *
 * *Not promised.* Haste: every page is read, in a thread of its own, so that the event loop goes on. (About 0.7 s a GB from the page cache; a disk
 * takes as long as it takes.)
 */
export async function checkFile (path: string): Promise<void> {
  // The cheap questions first: a disk that is still full does not cost a thread, and a reading of the whole file, at every attempt.
  accessSync(path, constants.R_OK | constants.W_OK)
  checkRoom(path)
  // The file beside this one, whichever of TypeScript and JavaScript runs.
  const worker = new Worker(new URL(`./file-check-worker${extname(import.meta.url)}`, import.meta.url), { workerData: path })
  const verdict = await new Promise<unknown>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', code => { reject(new Error(`The check of the file ended without a verdict (${code})`)) })
  })
  const found = Value.Parse(Verdict, verdict)
  if (found !== null) throw Object.assign(new Error(found.message), { code: found.code })
}

function checkRoom (path: string): void {
  // An empty file is a sound database to SQLite: it would quietly take the place of every conversation that there was.
  if (statSync(path).size === 0) throw new Database.SqliteError('The file is empty', 'SQLITE_NOTADB')
  const { blocks, bfree, bsize } = statfsSync(dirname(path))
  // Some network file systems do not count; `bfree`, since the blocks that `bavail` leaves out may be ours to use.
  if (blocks > 0 && bfree * bsize < MIN_FREE_BYTES) throw new Database.SqliteError('The disk is full', 'SQLITE_FULL')
}
