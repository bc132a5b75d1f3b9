import { randomUUID } from 'node:crypto'
import type { FileOperations, OpenFile } from './files.ts'
import { formatFile, formatHeader, formatRecord, type JournalHeader } from './journal-text.ts'
import { ifPresent } from './path.ts'
import { ignoreErrors, writeFully } from './rewrite.ts'

/** Where a journal ends, for the one who goes on writing it. */
export interface JournalEnd {
  /** Bytes of all whole records. */
  readonly length: number
  /** Of the last whole record. */
  readonly checksum: number
}

/** What a new journal continues. */
export interface JournalOrigin {
  /** The checksums that the file may have. */
  readonly files: readonly string[]
  /** The id of the journal that the changes of the new one come after. */
  readonly predecessor?: string
}

/** How a journal is written. */
export interface JournalOptions {
  readonly files: FileOperations
  readonly isSynced: boolean
}

/**
 * A journal that is being written: see `journal-text.ts` for what stands in it.
 *
 * *Promise.* A record whose `append` resolved is there after a crash of the process, and of the machine if synced. One whose `append`
 * rejected is cut off again; where even that fails, the journal is no longer sound and takes nothing more.
 *
 * *Not promised.* That the folder's entry survives a power cut: whoever creates the journal syncs the folder before the first change.
 */
export class Journal {
  readonly id: string
  readonly #file: OpenFile
  readonly #isSynced: boolean
  #end: JournalEnd
  #isSound = true
  #last: Promise<void> = Promise.resolve()

  private constructor (id: string, file: OpenFile, end: JournalEnd, isSynced: boolean) {
    this.id = id
    this.#file = file
    this.#end = end
    this.#isSynced = isSynced
  }

  /**
   * Makes a journal: one that continues files of these checksums, or the changes of another journal. It gets its name when its first record is
   * whole, so that one without is never taken for a journal that has lost what it held.
   */
  static async create (path: string, from: JournalOrigin, options: JournalOptions): Promise<Journal> {
    const { files, isSynced } = options
    const header: JournalHeader = { id: randomUUID(), predecessor: from.predecessor }
    const temporaryPath = `${path}.tmp`
    // A killed run, or an attempt that failed, may have left one.
    await ifPresent(files.remove(temporaryPath))
    const file = await files.create(temporaryPath)
    const journal = new Journal(header.id, file, { length: 0, checksum: 0 }, isSynced)
    try {
      await journal.append([formatHeader(header), ...from.files.map(formatFile)])
      await files.rename(temporaryPath, path)
      return journal
    } catch (error) {
      await journal.close()
      await ignoreErrors(files.remove(temporaryPath))
      throw error
    }
  }

  /** Goes on writing a journal; what is behind its last whole record is cut off. */
  static async resume (path: string, id: string, end: JournalEnd, { files, isSynced }: JournalOptions): Promise<Journal> {
    const file = await files.append(path)
    const journal = new Journal(id, file, end, isSynced)
    try {
      await file.truncate(end.length)
      return journal
    } catch (error) {
      await journal.close()
      throw error
    }
  }

  /** Whether records can be appended. */
  get isSound (): boolean {
    return this.#isSound
  }

  /** Appends one record, after those that were asked for before. */
  append (lines: readonly string[]): Promise<void> {
    const appended = this.#last.then(() => this.#write(lines))
    this.#last = ignoreErrors(appended)
    return appended
  }

  /** Lets go of the file. An error is of no account: what counted was synced. */
  async close (): Promise<void> {
    await this.#last
    this.#isSound = false
    await ignoreErrors(this.#file.close())
  }

  async #write (lines: readonly string[]): Promise<void> {
    if (!this.#isSound) throw new Error('The journal takes no records since one could not be written')
    const { bytes, checksum } = formatRecord(lines, this.#end.checksum)
    let isWritten = false
    try {
      await writeFully(this.#file, bytes)
      isWritten = true
      // Else a power cut takes what is acknowledged next. The times of the file may go.
      if (this.#isSynced) await this.#file.syncData()
      this.#end = { length: this.#end.length + bytes.length, checksum }
    } catch (error) {
      // After a failed sync the kernel has dropped what it could not write, and a second sync would succeed without it.
      this.#isSound = !isWritten
      await this.#cutOff()
      throw error
    }
  }

  /** A refused change must not come back after a crash. */
  async #cutOff (): Promise<void> {
    try {
      await this.#file.truncate(this.#end.length)
    } catch {
      this.#isSound = false
    }
  }
}
