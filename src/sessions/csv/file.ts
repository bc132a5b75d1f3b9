import { createHash } from 'node:crypto'
import { basename, dirname, extname, join } from 'node:path'
import { isCoded } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { FileOperations, FileState } from './files.ts'
import { readFile, readLines, type Line } from './lines.ts'
import { ifPresent } from './path.ts'
import { ignoreErrors, syncFolder, writeNewFile, type WrittenFile } from './rewrite.ts'
import { formatFileTime } from './time.ts'

/** What others did to the file since it was last read or written here. */
export type ForeignChange = 'none' | 'changed' | 'removed'

/** What the session file is made with. */
export interface SessionFileOptions {
  readonly files: FileOperations
  /** Links resolved: a rename replaces a link, not what it points to. */
  readonly realPath: string
  /** The name under which the file is configured; files kept beside it are named after it. */
  readonly name: string
  readonly isSynced: boolean
  readonly now: () => number
  readonly log: Log
}

/**
 * The session file, as a whole.
 *
 * *Promise.* Whoever opens the file reads either what was there before a `replace` or all that came with it. What somebody else put there
 * meanwhile is kept under another name before it is replaced. A `replace` that rejects leaves the file whole and no other file behind.
 *
 * *Not promised.* A change by others between the last look and the rename, some hundred microseconds later, is lost.
 */
export class SessionFile {
  readonly #options: SessionFileOptions
  /** How the file looked when it was last found to be ours. */
  #state: FileState | undefined
  /** The checksums that our file can have: two while a rename failed and may have happened all the same. */
  #ours: readonly string[] = []
  /** The checksum of what others wrote and is kept already. */
  #kept: string | undefined

  constructor (options: SessionFileOptions) {
    this.#options = options
  }

  get #temporaryPath (): string {
    return `${this.#options.realPath}.tmp`
  }

  /** The checksums that the file can have, as far as we know: none if there is no file, two while a rename failed that may have happened. */
  get checksums (): readonly string[] {
    return this.#ours
  }

  /** Removes what a killed run left of a file that it was writing. */
  async removeLeftover (): Promise<void> {
    await ifPresent(this.#options.files.remove(this.#temporaryPath))
  }

  /** Reads the file, block by block of lines; undefined if there is none. */
  async read<T> (visit: (blocks: AsyncIterable<Line[]>) => Promise<T>): Promise<T | undefined> {
    const { files, realPath } = this.#options
    const file = await ifPresent(files.open(realPath))
    if (file === undefined) return undefined
    try {
      const hash = createHash('sha256')
      const result = await visit(readLines(file, (chunk) => { hash.update(chunk) }))
      this.#state = await file.stat()
      this.#ours = [hash.digest('hex')]
      return result
    } finally {
      await file.close()
    }
  }

  /**
   * Replaces the file. Where others changed or removed it, their content is kept first if `overwrites`, else the file stays as it is. Tells that,
   * and for how many milliseconds it was this process that was at work, and not the disk.
   *
   * @param chunks The new content; asked for again if a left-over is in the way.
   * @param announce Called with the new checksum when all is written, right before the file takes its place.
   */
  async replace (
    chunks: () => Iterable<Buffer>, { overwrites, announce }: { overwrites: boolean, announce?: (sha256: string) => Promise<void> }
  ): Promise<{ isReplaced: boolean, workMs: number }> {
    const { files, realPath, isSynced } = this.#options
    const { sha256, state: written, workMs } = await this.#writeTemporary(chunks)
    const known = this.#ours
    try {
      await announce?.(sha256)
      // As late as can be: what others do after this look is lost.
      if (!await this.#makeWay(overwrites)) {
        await files.remove(this.#temporaryPath)
        return { isReplaced: false, workMs }
      }
      this.#state = undefined
      this.#ours = [...known, sha256]
      await files.rename(this.#temporaryPath, realPath)
    } catch (error) {
      await ignoreErrors(files.remove(this.#temporaryPath))
      throw error
    }
    this.#ours = [sha256]
    this.#kept = undefined
    if (isSynced) await syncFolder(files, dirname(realPath))
    const now = await ifPresent(files.stat(realPath))
    // The rename itself changes the ctime alone. Anything else is somebody's, who came since: the next look compares the content.
    this.#state = now !== undefined && isSameState({ ...written, ctimeNs: now.ctimeNs }, now) ? now : undefined
    return { isReplaced: true, workMs }
  }

  /** Looks whether others changed the file; equal bytes are no change. */
  async findForeignChange (): Promise<ForeignChange> {
    return (await this.#look()).change
  }

  /** Writes a file of its own beside the session file, durably and never over another one, and resolves to its name. */
  async keep (kind: 'rejected' | 'conflict' | 'journal', chunks: () => Iterable<Buffer> | AsyncIterable<Buffer>): Promise<{ name: string, sha256: string }> {
    const { files, realPath, isSynced } = this.#options
    for (let attempt = 1; ; attempt++) {
      const kept = this.#nameAside(kind, attempt)
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
  async setAside (path: string): Promise<string> {
    const { files, realPath, isSynced } = this.#options
    for (let attempt = 1; ; attempt++) {
      const name = this.#nameAside('journal', attempt)
      const target = join(dirname(realPath), name)
      // A rename would replace what is there.
      if (await ifPresent(files.lstat(target)) !== undefined) continue
      await files.rename(path, target)
      if (isSynced) await syncFolder(files, dirname(realPath))
      return name
    }
  }

  #nameAside (kind: 'rejected' | 'conflict' | 'journal', attempt: number): string {
    const { name, now } = this.#options
    const stem = `${basename(name, extname(name))}_${kind}_${formatFileTime(now())}${attempt === 1 ? '' : `_${attempt}`}`
    return kind === 'journal' ? `${stem}.journal` : `${stem}.csv`
  }

  async #writeTemporary (chunks: () => Iterable<Buffer>): Promise<WrittenFile> {
    const { files, realPath, isSynced } = this.#options
    const like = await ifPresent(files.stat(realPath))
    const write = (): Promise<WrittenFile> => writeNewFile(files, this.#temporaryPath, chunks(), { isSynced, like })
    try {
      return await write()
    } catch (error) {
      if (!isCoded(error, 'EEXIST')) throw error
      // An earlier attempt could not even remove it. It is ours: the lock keeps other writers away.
      await files.remove(this.#temporaryPath)
      return await write()
    }
  }

  /** Resolves to false if the file is to stay as it is. */
  async #makeWay (overwrites: boolean): Promise<boolean> {
    const { change, sha256 } = await this.#look()
    if (change === 'none') return true
    if (!overwrites) return false
    const { files, realPath, log } = this.#options
    if (change === 'removed') {
      log.warn({}, `${realPath} was removed by somebody else; it is written again`)
    } else if (sha256 !== this.#kept) {
      const kept = await this.keep('conflict', () => readFile(files, realPath))
      this.#kept = kept.sha256
      log.warn({ file: kept.name }, `${realPath} was changed by somebody else; it is replaced, and what it held is kept in ${kept.name}`)
    }
    return true
  }

  async #look (): Promise<{ change: ForeignChange, sha256?: string }> {
    const { files, realPath } = this.#options
    const state = await ifPresent(files.stat(realPath))
    if (state === undefined) return { change: this.#ours.length === 0 ? 'none' : 'removed' }
    if (this.#state !== undefined && isSameState(state, this.#state)) return { change: 'none' }
    const hash = createHash('sha256')
    for await (const chunk of readFile(files, realPath)) hash.update(chunk)
    const sha256 = hash.digest('hex')
    if (!this.#ours.includes(sha256)) return { change: 'changed', sha256 }
    this.#state = state
    return { change: 'none' }
  }
}

function isSameState (a: FileState, b: FileState): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs
}
