import * as fs from 'node:fs'
import { mkdir, readlink, realpath, unlink } from 'node:fs/promises'
import { promisify } from 'node:util'

/** What the service looks at in a file's metadata. */
export interface FileState {
  readonly kind: 'file' | 'folder' | 'link' | 'other'
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** An open file, or an open folder, of which only `sync` and `close` make sense. */
export interface OpenFile {
  /** Reads on from where the last call ended; resolves to the number of bytes, 0 at the end. */
  read (buffer: Buffer): Promise<number>
  /** Writes at the end of the file; may write less than asked without an error. */
  write (bytes: Buffer): Promise<number>
  sync (): Promise<void>
  /** Like `sync`, without what only tells about the file, such as its times. */
  syncData (): Promise<void>
  /** Cuts off what is behind this many bytes. */
  truncate (length: number): Promise<void>
  stat (): Promise<FileState>
  chmod (mode: number): Promise<void>
  chown (uid: number, gid: number): Promise<void>
  /** Safe to call twice; nothing else may be under way. */
  close (): Promise<void>
}

/** Every file operation that the session file is made with; each rejects with an `errno` code. */
export interface FileOperations {
  open (path: string): Promise<OpenFile>
  /** Opens a file that must not exist yet, readable by its owner alone. */
  create (path: string): Promise<OpenFile>
  /** Opens a file that exists, to write at its end. */
  append (path: string): Promise<OpenFile>
  stat (path: string): Promise<FileState>
  /** Like `stat`, of a link itself. */
  lstat (path: string): Promise<FileState>
  readlink (path: string): Promise<string>
  realpath (path: string): Promise<string>
  rename (from: string, to: string): Promise<void>
  remove (path: string): Promise<void>
  /** Makes one folder, open to its owner alone. */
  makeFolder (path: string): Promise<void>
}

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = fs.constants
const [read, write, sync, syncData] = [promisify(fs.read), promisify(fs.write), promisify(fs.fsync), promisify(fs.fdatasync)]
const [truncate, chmod, chown] = [promisify(fs.ftruncate), promisify(fs.fchmod), promisify(fs.fchown)]

/**
 * The file operations of this machine.
 *
 * What waits for a disk is handed to a thread. What only changes names, opens, closes, or looks, takes microseconds and is done at once: handed over,
 * each would come back behind whatever the event loop has to do by then, and a file takes nine of them to be replaced.
 */
export const realFiles: FileOperations = {
  open: async (path) => wrap(fs.openSync(path, O_RDONLY)),
  create: async (path) => wrap(fs.openSync(path, O_APPEND | O_CREAT | O_EXCL | O_WRONLY, 0o600)),
  append: async (path) => wrap(fs.openSync(path, O_APPEND | O_WRONLY)),
  stat: async (path) => describe(fs.statSync(path, { bigint: true })),
  lstat: async (path) => describe(fs.lstatSync(path, { bigint: true })),
  readlink: (path) => readlink(path),
  realpath: (path) => realpath(path),
  rename: async (from, to) => { fs.renameSync(from, to) },
  remove: unlink,
  makeFolder: (path) => mkdir(path, { mode: 0o700 })
}

function wrap (fd: number): OpenFile {
  let isOpen = true
  // The number of a closed file may be another file's by now.
  const get = (): number => {
    if (!isOpen) throw Object.assign(new Error('The file is closed'), { code: 'EBADF' })
    return fd
  }
  return {
    read: async (buffer) => (await read(get(), buffer, 0, buffer.length, null)).bytesRead,
    write: async (bytes) => (await write(get(), bytes)).bytesWritten,
    sync: async () => { await sync(get()) },
    syncData: async () => { await syncData(get()) },
    truncate: async (length) => { await truncate(get(), length) },
    stat: async () => describe(fs.fstatSync(get(), { bigint: true })),
    chmod: async (mode) => { await chmod(get(), mode) },
    chown: async (uid, gid) => { await chown(get(), uid, gid) },
    close: async () => {
      if (isOpen) {
        isOpen = false
        fs.closeSync(fd)
      }
    }
  }
}

function describe (stats: fs.BigIntStats): FileState {
  const { dev, ino, size, mtimeNs, ctimeNs } = stats
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : stats.isSymbolicLink() ? 'link' : 'other'
  return { kind, dev, ino, size, mtimeNs, ctimeNs, mode: Number(stats.mode) & 0o7777, uid: Number(stats.uid), gid: Number(stats.gid) }
}

const REASONS = new Map([
  ['ENOSPC', 'no space left'],
  ['EDQUOT', 'the disk quota is used up'],
  ['EFBIG', 'the file would grow beyond its size limit'],
  ['EIO', 'the disk reports an input/output error'],
  ['EROFS', 'the file system is read-only'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'the operation is not permitted'],
  ['ENOENT', 'the file or its folder is missing'],
  ['EBUSY', 'the file is busy'],
  ['EMFILE', 'too many open files'],
  ['ENFILE', 'too many open files'],
  ['ENOTDIR', 'a part of the path is not a folder'],
  ['ENAMETOOLONG', 'the name is too long']
])

/** Says why a file operation failed in words for an operator: no path, no content. */
export function explainErrno (error: unknown): string {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return code === undefined ? 'an unexpected error' : REASONS.get(code) ?? `the disk reports ${code}`
}
