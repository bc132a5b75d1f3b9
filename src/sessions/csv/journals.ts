import { dirname } from 'node:path'
import { isCoded } from '../../errors.ts'
import { formatFile } from './journal-text.ts'
import { Journal, type JournalOptions, type JournalOrigin } from './journal.ts'
import { ifPresent } from './path.ts'
import { journalPaths, type Recovery } from './recovery.ts'
import { ignoreErrors, syncFolder } from './rewrite.ts'

/**
 * The journals beside a session file: the one that is being written and, while the file is rewritten, the one before it.
 *
 * *Promise.* After a crash at any instant `readJournals` finds all that was appended, given that the file is either one that a journal names or
 * one whose checksum was recorded before it took its place.
 */
export class Journals {
  readonly #options: JournalOptions
  readonly #paths: { current: string, older: string }
  #current: { readonly journal: Journal, readonly path: string } | undefined
  /** Whether there is one before it, that nothing is written to any more. */
  #hasOlder = false

  constructor (realPath: string, options: JournalOptions) {
    this.#options = options
    this.#paths = journalPaths(realPath)
  }

  /** Whether there is none, so that the file alone is the whole. */
  get isEmpty (): boolean {
    return this.#current === undefined && !this.#hasOlder
  }

  /** Whether a record could not be written and the journal takes no more: only a complete new file helps. */
  get isBroken (): boolean {
    return this.#current !== undefined && !this.#current.journal.isSound
  }

  /** Removes what a killed run left of a journal that it was making. */
  async removeLeftover (): Promise<void> {
    await ifPresent(this.#options.files.remove(`${this.#paths.current}.tmp`))
  }

  /** Goes on with what a recovery found, until it is dropped. */
  async adopt ({ fitting, spent }: Recovery): Promise<void> {
    const last = fitting.at(-1)
    this.#hasOlder = spent.length > 0 || fitting.length > 1
    if (last !== undefined) this.#current = { path: last.path, journal: await Journal.resume(last.path, last.id, last.end, this.#options) }
  }

  /** Begins a journal if there is none, for a file that has one of these checksums. */
  async start (checksums: readonly string[]): Promise<void> {
    if (this.#current !== undefined) return
    this.#current = await this.#create({ files: checksums })
  }

  /** Makes a group of changes durable. */
  async append (lines: readonly string[]): Promise<void> {
    if (this.#current === undefined) throw new TypeError('No journal has been started')
    await this.#current.journal.append(lines)
  }

  /**
   * From here on changes go into a new journal, so that a file with all that came before makes the older one superfluous. Does nothing while there
   * is an older one: a rewrite that failed is made up for with the journals as they are.
   */
  async rotate (): Promise<void> {
    const current = this.#current
    if (current === undefined || this.#hasOlder) return
    const { journal } = current
    const { older } = this.#paths
    // Where an earlier attempt failed half-way, it has its new name already.
    if (current.path !== older) await this.#putAside(current.journal)
    this.#current = { journal, path: older }
    this.#current = await this.#create({ files: [], predecessor: journal.id })
    this.#hasOlder = true
    await journal.close()
  }

  /** Names a file that is about to take its place, and that holds all that was appended before the last `rotate`. */
  async recordFile (sha256: string): Promise<void> {
    await this.append([formatFile(sha256)])
  }

  /** Removes what the file holds as a whole since the last `rotate`. */
  async dropOlder (): Promise<void> {
    await ifPresent(this.#options.files.remove(this.#paths.older))
    this.#hasOlder = false
  }

  /** Removes all of them, under whichever name: the file holds the whole. The older one first: alone, it would not fit the file. */
  async drop (): Promise<void> {
    await this.#current?.journal.close()
    await this.dropOlder()
    await ifPresent(this.#options.files.remove(this.#paths.current))
    this.#current = undefined
  }

  /** Lets go of the files and leaves them there. */
  async close (): Promise<void> {
    await this.#current?.journal.close()
  }

  async #putAside (journal: Journal): Promise<void> {
    const { files, isSynced } = this.#options
    const { current, older } = this.#paths
    try {
      await files.rename(current, older)
    } catch (error) {
      // Whoever took its name took it from the next start as well: only a complete new file saves what is in it.
      if (isCoded(error, 'ENOENT')) await journal.close()
      throw error
    }
    // Else a power cut may keep the name of the next journal, and not this one's.
    if (isSynced) await syncFolder(files, dirname(older))
  }

  async #create (from: JournalOrigin): Promise<{ journal: Journal, path: string }> {
    const { files, isSynced } = this.#options
    const path = this.#paths.current
    const journal = await Journal.create(path, from, this.#options)
    try {
      // Else a power cut takes the journal, and with it all that is acknowledged in it.
      if (isSynced) await syncFolder(files, dirname(path))
      return { journal, path }
    } catch (error) {
      await journal.close()
      await ignoreErrors(files.remove(path))
      throw error
    }
  }
}
