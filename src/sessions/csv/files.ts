import { constants, lstat, mkdir, open, readlink, realpath, rename, stat, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { BigIntStats } from 'node:fs'

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

const { O_APPEND, O_CREAT, O_EXCL, O_WRONLY } = constants

/** The file operations of this machine. */
export const realFiles: FileOperations = {
  open: async (path) => wrap(await open(path, 'r')),
  create: async (path) => wrap(await open(path, O_APPEND | O_CREAT | O_EXCL | O_WRONLY, 0o600)),
  append: async (path) => wrap(await open(path, O_APPEND | O_WRONLY)),
  stat: async (path) => describe(await stat(path, { bigint: true })),
  lstat: async (path) => describe(await lstat(path, { bigint: true })),
  readlink: (path) => readlink(path),
  realpath: (path) => realpath(path),
  rename,
  remove: unlink,
  makeFolder: (path) => mkdir(path, { mode: 0o700 })
}

function wrap (handle: FileHandle): OpenFile {
  return {
    read: async (buffer) => (await handle.read(buffer, 0, buffer.length)).bytesRead,
    write: async (bytes) => (await handle.write(bytes)).bytesWritten,
    sync: () => handle.sync(),
    syncData: () => handle.datasync(),
    truncate: (length) => handle.truncate(length),
    stat: async () => describe(await handle.stat({ bigint: true })),
    chmod: (mode) => handle.chmod(mode),
    chown: (uid, gid) => handle.chown(uid, gid),
    close: () => handle.close()
  }
}

function describe (stats: BigIntStats): FileState {
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
