import { basename, dirname, extname } from 'node:path'
import { isCoded } from '../../errors.ts'
import { isLocked } from '../../lock.ts'
import { ifPresent } from '../csv/path.ts'
import { journalPaths } from '../csv/recovery.ts'
import type { AdminOptions } from './options.ts'

/** What lies beside a session file. */
export interface Surroundings {
  /** Whether a process has the file, most likely the service. */
  readonly isInUse: boolean
  /** Names of new files that a killed run did not finish, or that the running one is writing. */
  readonly unfinished: readonly string[]
  /** Names of files that were set aside: nothing reads them, and they hold personal data. */
  readonly setAside: readonly string[]
}

/** Looks around a session file. */
export async function lookAround ({ path, files, listFolder }: AdminOptions, realPath: string): Promise<Surroundings> {
  const isInUse = isLocked(realPath)
  const unfinished: string[] = []
  for (const path of [`${realPath}.tmp`, `${journalPaths(realPath).current}.tmp`]) {
    if (await ifPresent(files.lstat(path)) !== undefined) unfinished.push(basename(path))
  }
  const names = await listFolder(dirname(realPath)).catch((error: unknown) => {
    if (isCoded(error, 'ENOENT')) return []
    throw error
  })
  // Kept files are named after the file as it is configured, also where that is a link.
  const stem = basename(path, extname(path))
  return { isInUse, unfinished, setAside: names.filter((name) => isSetAside(name, stem)).sort() }
}

function isSetAside (name: string, stem: string): boolean {
  return name.startsWith(`${stem}_`) && /^_(?:(?:rejected|conflict)_\w+\.csv|journal_\w+\.journal)$/.test(name.slice(stem.length))
}
