import { basename, dirname, join, resolve } from 'node:path'
import { isCoded, ServiceError } from '../../errors.ts'
import type { FileOperations, FileState } from './files.ts'
import { readLines } from './lines.ts'
import { syncFolder } from './rewrite.ts'

// As many as Linux follows.
const MAX_LINKS = 40

/** Resolves to undefined where there is no file. */
export async function ifPresent<T> (operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation
  } catch (error) {
    if (isCoded(error, 'ENOENT')) return undefined
    throw error
  }
}

/**
 * Finds the one true path of a file that may not exist yet: links are followed, a dangling one to where it points, and missing folders are
 * made. Two names of one file have one real path.
 */
export async function findRealPath (files: FileOperations, path: string, isSynced: boolean): Promise<string> {
  let target = resolve(path)
  for (let links = 0; links <= MAX_LINKS; links++) {
    const folder = await ensureFolder(files, dirname(target), isSynced)
    const realPath = join(folder, basename(target))
    const state = await ifPresent(files.lstat(realPath))
    if (state?.kind !== 'link') return realPath
    target = resolve(folder, await files.readlink(realPath))
  }
  throw new ServiceError('FILE_INVALID', { message: `${path} is a symbolic link that leads in a circle` })
}

/**
 * Refuses what cannot be replaced by a rename.
 *
 * @throws ServiceError FILE_INVALID for a folder, a device, or a file that is a mount by itself.
 */
export async function checkReplaceable (files: FileOperations, realPath: string): Promise<void> {
  const state = await ifPresent(files.stat(realPath))
  if (state === undefined) return
  if (state.kind === 'folder') throw new ServiceError('FILE_INVALID', { message: `${realPath} is a folder; name a file in it` })
  if (state.kind !== 'file') throw new ServiceError('FILE_INVALID', { message: `${realPath} is not a regular file` })
  if (await isMountPoint(files, realPath, state)) {
    throw new ServiceError('FILE_INVALID', { message: `${realPath} is a mount by itself and cannot be replaced; mount the folder instead` })
  }
}

/** A bind mount within one file system has the device number of its folder: that one only the mount table tells. */
async function isMountPoint (files: FileOperations, realPath: string, state: FileState): Promise<boolean> {
  const folder = await files.stat(dirname(realPath))
  if (folder.dev !== state.dev) return true
  const table = await ifPresent(files.open('/proc/self/mountinfo'))
  if (table === undefined) return false
  try {
    for await (const lines of readLines(table)) {
      if (lines.some(({ text }) => unescapeOctal(text.split(' ')[4] ?? '') === realPath)) return true
    }
    return false
  } finally {
    await table.close()
  }
}

/** The kernel writes space, tab, line feed and backslash as `\040` and the like. */
function unescapeOctal (text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)))
}

async function ensureFolder (files: FileOperations, folder: string, isSynced: boolean): Promise<string> {
  const realPath = await ifPresent(files.realpath(folder))
  if (realPath !== undefined) return realPath
  const parent = await ensureFolder(files, dirname(folder), isSynced)
  const made = join(parent, basename(folder))
  await files.makeFolder(made)
  // Else a power cut takes the new folder, and with it all that was acknowledged in it.
  if (isSynced) await syncFolder(files, parent)
  return made
}
