import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { isCoded, ServiceError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { StoreObserver } from '../store.ts'
import { Aside, type AsideOptions } from './aside.ts'
import { isSameState, isVersion, type FileVersion } from './file-version.ts'
import type { OpenFile } from './files.ts'
import { readFile, readLines, type Line } from './lines.ts'
import { ifPresent } from './path.ts'
import { ignoreErrors, syncFolder, writeNewFile, type WrittenFile } from './rewrite.ts'

/** What others did to the file since it was last read or written here. */
export type ForeignChange = 'none' | 'changed' | 'removed'

/** What the session file is made with. */
export interface SessionFileOptions extends AsideOptions {
  readonly log: Log
  readonly observer?: Pick<StoreObserver, 'rewrote'>
}

/** Somebody may write faster than we read, or keep, what they wrote. */
const MAX_KEPT_AT_ONCE = 3
const MAX_READS = 5

/**
 * The session file, as a whole.
 *
 * *Promise.* Whoever opens the file reads either what was there before a `replace` or all that came with it. What somebody else put there
 * meanwhile is kept under another name before it is replaced. A `replace` that rejects leaves the file whole and no other file behind.
 *
 * *Not promised.* A change by others between the last look and the rename, some hundred microseconds later, is lost.
 */
export class SessionFile {
  /** Where what is not to be lost goes. */
  readonly aside: Aside
  readonly #options: SessionFileOptions
  /** Ours: two while the file is being renamed, or when a rename failed and may have happened all the same; none if there is no file. */
  #ours: readonly FileVersion[] = []
  /** The checksum of what others wrote and is kept already. */
  #kept: string | undefined

  constructor (options: SessionFileOptions) {
    this.#options = options
    this.aside = new Aside(options)
  }

  get #temporaryPath (): string {
    return `${this.#options.realPath}.tmp`
  }

  /** The checksums that the file can have, as far as we know: none if there is no file, two while a rename failed that may have happened. */
  get checksums (): readonly string[] {
    return this.#ours.map(({ sha256 }) => sha256)
  }

  /** Removes what a killed run left of a file that it was writing. */
  async removeLeftover (): Promise<void> {
    await ifPresent(this.#options.files.remove(this.#temporaryPath))
  }

  /**
   * Reads the file, block by block of lines, and makes it survive a power cut; undefined if there is none.
   *
   * @param visit Called again if somebody changed the file meanwhile.
   * @throws ServiceError STORE_UNAVAILABLE if the file does not stand still.
   */
  async read<T> (visit: (blocks: AsyncIterable<Line[]>) => Promise<T>): Promise<T | undefined> {
    const { files, realPath, name } = this.#options
    for (let attempt = 1; attempt <= MAX_READS; attempt++) {
      const file = await ifPresent(files.open(realPath))
      if (file === undefined) return undefined
      try {
        const before = await file.stat()
        const hash = createHash('sha256')
        const result = await visit(readLines(file, (chunk) => { hash.update(chunk) }))
        const state = await file.stat()
        if (!isSameState(before, state)) continue
        await this.#makeDurable(file)
        this.#ours = [{ sha256: hash.digest('hex'), state }]
        return result
      } finally {
        await file.close()
      }
    }
    throw new ServiceError('STORE_UNAVAILABLE', { message: `${name} is being written to by another program` })
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
    const { files, realPath, isSynced, observer } = this.#options
    const startedMs = performance.now()
    const { sha256, state, workMs } = await this.#writeTemporary(chunks)
    const incoming: FileVersion = { sha256, state, isIncoming: true }
    try {
      await announce?.(sha256)
      // As late as can be: what others do after this look is lost.
      if (!await this.#makeWay(overwrites)) {
        await files.remove(this.#temporaryPath)
        return { isReplaced: false, workMs }
      }
      this.#ours = [...this.#ours, incoming]
      await files.rename(this.#temporaryPath, realPath)
    } catch (error) {
      await ignoreErrors(files.remove(this.#temporaryPath))
      throw error
    }
    this.#ours = [incoming]
    this.#kept = undefined
    if (isSynced) await syncFolder(files, dirname(realPath))
    const now = await ifPresent(files.stat(realPath))
    // Anything else is somebody's, who came since: the next look compares the content.
    this.#ours = [{ sha256, state: now !== undefined && isVersion(incoming, now) ? now : undefined }]
    observer?.rewrote(performance.now() - startedMs)
    return { isReplaced: true, workMs }
  }

  /** Looks whether others changed the file; equal bytes are no change. */
  async findForeignChange (): Promise<ForeignChange> {
    return (await this.#look()).change
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

  /** What is read from a file that nobody synced could be gone after a power cut, and what continues it with it. */
  async #makeDurable (file: OpenFile): Promise<void> {
    const { files, realPath, isSynced } = this.#options
    if (!isSynced) return
    await file.sync()
    await syncFolder(files, dirname(realPath))
  }

  /** Resolves to false if the file is to stay as it is. */
  async #makeWay (overwrites: boolean): Promise<boolean> {
    for (let attempt = 1; attempt <= MAX_KEPT_AT_ONCE; attempt++) {
      const { change, sha256, version } = await this.#look()
      if (change === 'none') {
        this.#ours = version === undefined ? [] : [version]
        return true
      }
      if (!overwrites) return false
      if (change === 'removed') this.#options.log.warn({}, `${this.#options.realPath} was removed by somebody else; it is written again`)
      if (change === 'removed' || sha256 === this.#kept) {
        this.#ours = []
        return true
      }
      // Which takes a while, so that there may be yet another one.
      await this.#keepForeign()
    }
    throw Object.assign(new Error('Somebody else writes the file faster than it can be kept'), { code: 'EBUSY' })
  }

  async #keepForeign (): Promise<void> {
    const { files, realPath, log } = this.#options
    const { name, sha256 } = await this.aside.keep('conflict', () => readFile(files, realPath))
    this.#kept = sha256
    log.warn({ file: name }, `${realPath} was changed by somebody else; it is replaced, and what it held is kept in ${name}`)
  }

  async #look (): Promise<{ change: ForeignChange, sha256?: string, version?: FileVersion }> {
    const { files, realPath } = this.#options
    const known = this.#ours
    const state = await ifPresent(files.stat(realPath))
    if (state === undefined) return { change: this.#ours.length === 0 ? 'none' : 'removed' }
    const found = [...known, ...this.#ours].find((version) => isVersion(version, state))
    if (found !== undefined) return { change: 'none', version: found }
    const hash = createHash('sha256')
    for await (const chunk of readFile(files, realPath)) hash.update(chunk)
    const sha256 = hash.digest('hex')
    if (![...known, ...this.#ours].some((version) => version.sha256 === sha256)) return { change: 'changed', sha256 }
    const version = { sha256, state }
    this.#ours = this.#ours.map((one) => one.sha256 === sha256 ? version : one)
    return { change: 'none', version }
  }
}
