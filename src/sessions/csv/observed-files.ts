import type { StoreObserver } from '../store.ts'
import type { FileOperations, OpenFile } from './files.ts'

/** For a store of which nobody wants to know more than it answers. */
export const UNOBSERVED: StoreObserver = { saved () {}, refused () {}, synced () {}, rewrote () {} }

/** The same file operations, each sync told with how long it took, also one that failed. */
export function observeSyncs (files: FileOperations, observer: Pick<StoreObserver, 'synced'>): FileOperations {
  const time = async (call: 'fsync' | 'fdatasync', sync: () => Promise<void>): Promise<void> => {
    const startedMs = performance.now()
    try {
      await sync()
    } finally {
      observer.synced(call, performance.now() - startedMs)
    }
  }
  const watch = (file: OpenFile): OpenFile => ({
    read: (buffer) => file.read(buffer),
    write: (bytes) => file.write(bytes),
    sync: () => time('fsync', () => file.sync()),
    syncData: () => time('fdatasync', () => file.syncData()),
    truncate: (length) => file.truncate(length),
    stat: () => file.stat(),
    chmod: (mode) => file.chmod(mode),
    chown: (uid, gid) => file.chown(uid, gid),
    close: () => file.close()
  })
  return {
    open: async (path) => watch(await files.open(path)),
    create: async (path) => watch(await files.create(path)),
    append: async (path) => watch(await files.append(path)),
    stat: (path) => files.stat(path),
    lstat: (path) => files.lstat(path),
    readlink: (path) => files.readlink(path),
    realpath: (path) => files.realpath(path),
    rename: (from, to) => files.rename(from, to),
    remove: (path) => files.remove(path),
    makeFolder: (path) => files.makeFolder(path)
  }
}
