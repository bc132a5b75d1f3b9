import { ServiceError } from '../../errors.ts'
import type { FileOperations } from './files.ts'
import { readFile } from './lines.ts'
import { ifPresent } from './path.ts'

/** The file that stands beside a session file for as long as sessions are being moved to it, and says from where. */
export function findMovePath (realPath: string): string {
  return `${realPath}.moving`
}

/** Whence sessions are being moved to a file; undefined if none are. */
export async function readMoveFile (files: FileOperations, realPath: string): Promise<string | undefined> {
  const path = findMovePath(realPath)
  if (await ifPresent(files.lstat(path)) === undefined) return undefined
  const chunks: Buffer[] = []
  for await (const chunk of readFile(files, path)) chunks.push(chunk)
  return Buffer.concat(chunks).toString().trim()
}

/** Throws FILE_INVALID while sessions are being moved to a file: it is not whole, and neither are the conversations beside it. */
export async function refuseUnfinished (files: FileOperations, path: string, realPath: string): Promise<void> {
  const source = await readMoveFile(files, realPath)
  if (source === undefined) return
  throw new ServiceError('FILE_INVALID', {
    message: `The move from ${source} to ${path} is not finished: run it again, or remove ${findMovePath(path)} and what was moved`
  })
}
