import { readdirSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { isCoded } from '../../src/errors.ts'

/** What lies on the disk. */
export interface FolderReport {
  readonly sessionBytes: number
  readonly journalBytes: number
  /** The conversations and their log, without the notes: those are kept for ever, and grow with what was approved. */
  readonly conversationBytes: number
  readonly noteBytes: number
  readonly notes: number
  readonly threads: number
  /** Files that the service leaves beside its own when something is wrong with them. */
  readonly strayFiles: number
}

/** Looks at the folder of a service that runs. */
export function measureFolder (dir: string): FolderReport {
  const names = readdirSync(dir)
  const sizeOf = (pattern: RegExp): number => names.filter(name => pattern.test(name)).reduce((sum, name) => sum + findSize(join(dir, name)), 0)
  const db = new Database(join(dir, 'conversations.sqlite'), { readonly: true })
  try {
    const count = (sql: string): number => db.prepare<[], number | null>(sql).pluck().get() ?? 0
    const noteBytes = count("SELECT sum(pgsize) FROM dbstat WHERE name = 'items'")
    return {
      sessionBytes: sizeOf(/^sessions\.csv$/),
      journalBytes: sizeOf(/^sessions\.csv\.journal/),
      conversationBytes: sizeOf(/^conversations\.sqlite(-wal)?$/) - noteBytes,
      noteBytes,
      notes: count('SELECT count(*) FROM items'),
      threads: count('SELECT count(DISTINCT thread_id) FROM thread_checkpoints'),
      strayFiles: names.filter(name => /_(rejected|conflict|journal)_/.test(name)).length
    }
  } finally {
    db.close()
  }
}

function findSize (path: string): number {
  try {
    return statSync(path).size
  } catch (error) {
    // Between the list and the look, a journal may have become superfluous.
    if (isCoded(error, 'ENOENT')) return 0
    throw error
  }
}

/** What a process has open. */
export interface HandleReport {
  readonly files: number
  readonly sockets: number
}

/** Looks at what a process has open; not known where there is no /proc. */
export function countHandles (pid: number): HandleReport | undefined {
  const folder = `/proc/${pid}/fd`
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch (error) {
    if (isCoded(error, 'ENOENT')) return undefined
    throw error
  }
  const targets = names.flatMap(name => {
    try {
      return [readlinkSync(join(folder, name))]
    } catch (error) {
      if (isCoded(error, 'ENOENT')) return []
      throw error
    }
  })
  const sockets = targets.filter(target => target.startsWith('socket:')).length
  return { files: targets.length - sockets, sockets }
}
