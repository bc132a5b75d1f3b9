import { dirname } from 'node:path'
import { isCoded, ServiceError } from '../../errors.ts'
import { syncFolder, writeNewFile } from '../csv/rewrite.ts'
import type { AdminOptions } from './options.ts'

/**
 * Writes a file for the operator: whole, readable by its owner alone, on the disk when this resolves.
 *
 * @throws ServiceError FILE_INVALID if something has that name: nothing is ever overwritten.
 */
export async function writeFile ({ files }: AdminOptions, path: string, chunks: Iterable<Buffer>): Promise<{ bytes: number }> {
  try {
    const { state } = await writeNewFile(files, path, chunks, { isSynced: true })
    // Else a power cut takes the file's name, and with it the file.
    await syncFolder(files, dirname(path))
    return { bytes: Number(state.size) }
  } catch (error) {
    if (isCoded(error, 'EEXIST')) throw new ServiceError('FILE_INVALID', { message: `${path} exists and is not overwritten`, cause: error })
    throw error
  }
}
