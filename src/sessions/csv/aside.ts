import { basename, dirname, extname, join } from 'node:path'
import { isCoded } from '../../errors.ts'
import type { FileOperations } from './files.ts'
import { ifPresent } from './path.ts'
import { syncFolder, writeNewFile } from './rewrite.ts'
import { formatFileTime } from './time.ts'

type Kind = 'rejected' | 'conflict' | 'journal'

/** Where files are kept. */
export interface AsideOptions {
  readonly files: FileOperations
  /** Links resolved: a rename replaces a link, not what it points to. */
  readonly realPath: string
  /** The name under which the file is configured; files kept beside it are named after it. */
  readonly name: string
  readonly isSynced: boolean
  readonly now: () => number
}

/**
 * Files beside the session file that keep what cannot be kept in it.
 *
 * *Promise.* Each gets a name that nothing has, and is on the disk when its name is told: the session file changes next, and a power cut must not
 * leave that change alone.
 */
export class Aside {
  readonly #options: AsideOptions

  constructor (options: AsideOptions) {
    this.#options = options
  }

  /** Writes a file of its own beside the session file, durably and never over another one, and resolves to its name. */
  async keep (kind: Kind, chunks: () => Iterable<Buffer> | AsyncIterable<Buffer>): Promise<{ name: string, sha256: string }> {
    const { files, realPath, isSynced } = this.#options
    for (let attempt = 1; ; attempt++) {
      const kept = this.#name(kind, attempt)
      try {
        const { sha256 } = await writeNewFile(files, join(dirname(realPath), kept), chunks(), { isSynced })
        // The session file changes next: a power cut must not leave that change alone.
        if (isSynced) await syncFolder(files, dirname(realPath))
        return { name: kept, sha256 }
      } catch (error) {
        if (!isCoded(error, 'EEXIST')) throw error
      }
    }
  }

  /** Gives a file beside the session file a name under which nothing of the service looks at it, and resolves to that. */
  async move (path: string): Promise<string> {
    const { files, realPath, isSynced } = this.#options
    for (let attempt = 1; ; attempt++) {
      const name = this.#name('journal', attempt)
      const target = join(dirname(realPath), name)
      // A rename would replace what is there.
      if (await ifPresent(files.lstat(target)) !== undefined) continue
      await files.rename(path, target)
      if (isSynced) await syncFolder(files, dirname(realPath))
      return name
    }
  }

  #name (kind: Kind, attempt: number): string {
    const { name, now } = this.#options
    const stem = `${basename(name, extname(name))}_${kind}_${formatFileTime(now())}${attempt === 1 ? '' : `_${attempt}`}`
    return kind === 'journal' ? `${stem}.journal` : `${stem}.csv`
  }
}
