import * as realFiles from 'node:fs'
import { basename, dirname, extname, join, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isCoded, ServiceError } from './errors.ts'
import type { User } from './user.ts'

/** The file operations in use. */
export type OwnerFiles = Pick<typeof realFiles,
  'openSync' | 'closeSync' | 'fstatSync' | 'fchownSync' | 'fsyncSync' | 'readdirSync' | 'realpathSync' | 'statSync' | 'mkdirSync'>

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = realFiles.constants

/** Folders of the system: whoever owns one owns the machine. */
const SYSTEM_FOLDER = /^\/(bin|boot|dev|etc|home|lib\d*|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)?$/
const BELOW_SYSTEM_FOLDER = /^\/(boot|dev|etc|proc|sys|usr)\//

/** What root starts again after a restart: whoever owns a folder that leads there is root by then. */
const PROGRAM = realFiles.realpathSync(fileURLToPath(import.meta.url))

/**
 * Gives files to a user, so that a process which root started on a volume of root's can go on as that user. For root, before anything is opened.
 *
 * *Promise.*
 * 1. The folder of each path is the user's, or one in which the user may write anyway; a missing one is made, for the user alone.
 * 2. In that folder, what the service keeps under the path's name, beside it and set aside, is the user's. Nothing else is touched, and nothing
 *    further down.
 * 3. Nothing outside changes its owner, whoever owned the folder before: no link is followed, symbolic or hard.
 *
 * *Not promised.* A file that is a symbolic link is left to whoever made it.
 *
 * @throws ServiceError FILE_INVALID, naming the folder, when the system refuses (NFS, a read-only disk) or the folder is none to be given away.
 */
export function takeOver (paths: readonly string[], user: User, files: OwnerFiles = realFiles): void {
  for (const path of paths) {
    const folder = dirname(resolve(path))
    try {
      if (takeFolder(folder, user, files)) takeFiles(folder, basename(path), user, files)
    } catch (error) {
      if (error instanceof ServiceError) throw error
      throw refuse(folder, user, error)
    }
  }
}

/** False where the folder is none of root's business: through a link, or not to be looked into. */
function takeFolder (folder: string, user: User, files: OwnerFiles): boolean {
  makeFolders(folder, user, files)
  const realPath = files.realpathSync(folder)
  if (realPath !== folder) {
    // Who owned a volume may have left links on it that lead to /etc.
    if (canWrite(files.statSync(realPath), user)) return false
    throw new ServiceError('FILE_INVALID', { message: `${folder} leads through a symbolic link to ${realPath}, which RUN_AS does not follow: name ${realPath} itself` })
  }
  return withOpen(folder, O_DIRECTORY, files, handle => {
    const stats = files.fstatSync(handle)
    if (canWrite(stats, user)) return
    const holder = describeHolder(folder)
    if (holder !== undefined) {
      throw new ServiceError('FILE_INVALID', { message: `${folder} is a folder of ${holder}, which RUN_AS does not give away: keep the files in a folder of their own` })
    }
    files.fchownSync(handle, user.uid, user.gid)
  })
}

/** Whose a folder is that nobody else may own. */
function describeHolder (folder: string): string | undefined {
  if (SYSTEM_FOLDER.test(folder) || BELOW_SYSTEM_FOLDER.test(folder)) return 'the system'
  return PROGRAM.startsWith(folder + sep) ? 'the program' : undefined
}

function makeFolders (folder: string, user: User, files: OwnerFiles): void {
  if (files.statSync(folder, { throwIfNoEntry: false }) !== undefined) return
  const parent = dirname(folder)
  makeFolders(parent, user, files)
  // Below a link, it is the user who makes it.
  if (files.realpathSync(parent) !== parent) return
  files.mkdirSync(folder, { mode: 0o700 })
  withOpen(folder, O_DIRECTORY, files, handle => { files.fchownSync(handle, user.uid, user.gid) })
  // Else a power cut takes the new folder, and with it all that was acknowledged in it.
  withOpen(parent, O_DIRECTORY, files, handle => { files.fsyncSync(handle) })
}

function takeFiles (folder: string, name: string, user: User, files: OwnerFiles): void {
  const stem = basename(name, extname(name))
  const isOurs = (entry: string) => entry === name || entry.startsWith(`${name}.`) || entry.startsWith(`${name}-`) || entry.startsWith(`${stem}_`)
  for (const entry of files.readdirSync(folder).filter(isOurs)) {
    withOpen(join(folder, entry), O_NONBLOCK, files, handle => {
      const stats = files.fstatSync(handle)
      // A second name may be that of a file of somebody else's.
      if (stats.isFile() && stats.nlink === 1 && stats.uid !== user.uid) files.fchownSync(handle, user.uid, user.gid)
    })
  }
}

/**
 * By handle, so that what is looked at is what is given away. False where there is nothing to open but a link, or nothing that root may open:
 * on a volume that is not root's, or without its capabilities, the user finds out whether he may.
 */
function withOpen (path: string, flags: number, files: OwnerFiles, use: (handle: number) => void): boolean {
  let handle: number
  try {
    handle = files.openSync(path, O_RDONLY | O_NOFOLLOW | flags)
  } catch (error) {
    if (['ELOOP', 'ENOENT', 'ENXIO', 'EACCES'].some(code => isCoded(error, code))) return false
    throw error
  }
  try {
    use(handle)
    return true
  } finally {
    files.closeSync(handle)
  }
}

/** Whether the bits of a folder let the user make and remove files in it. */
function canWrite ({ uid, gid, mode }: { uid: number, gid: number, mode: number }, user: User): boolean {
  if (uid === user.uid) return true
  return gid === user.gid ? (mode & 0o030) === 0o030 : (mode & 0o003) === 0o003
}

function refuse (folder: string, { uid, gid }: User, cause: unknown): ServiceError {
  return new ServiceError('FILE_INVALID', {
    message: `${folder} cannot be given to RUN_AS=${uid}:${gid} (${cause instanceof Error ? cause.message : String(cause)}): ` +
      `give it to ${uid}:${gid} where the volume is kept, or start the process as its owner`,
    cause
  })
}
