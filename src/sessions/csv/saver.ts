import type { ForeignChange, SessionFile } from './file.ts'
import type { FileFollower } from './follower.ts'
import { formatChanges } from './journal-text.ts'
import type { Journals } from './journals.ts'
import type { ChangedRows, RowLines } from './row-lines.ts'

/** Up to here the file itself holds a change before it is acknowledged. */
const EXACT = { sessions: 1000, bytes: 1024 * 1024 }

/** What changes are saved with. */
export interface SessionSaverOptions {
  readonly file: SessionFile
  readonly journals: Journals
  readonly lines: RowLines
  readonly follower: FileFollower
}

/**
 * Makes groups of changes durable, one group at a time.
 *
 * *Promise.* While the table is small, the file holds a group when `save` resolves. Beyond, the journal holds it, and the file follows. What somebody
 * else made of the file stays until a session changes after that; that change then finds it, and has the file of its own before it is acknowledged.
 * After a failure nothing is acknowledged before the disk has taken a record of a sound journal, or else a complete new file.
 *
 * *Not promised.* That a change which was refused is gone: where the disk fails while a change is taken back, it may be found after a crash.
 */
export class SessionSaver {
  readonly #options: SessionSaverOptions
  #isTroubled = false
  /** Why no complete file could be written; the next attempt is for `maintain`, since each writes the whole table. */
  #refusal: { readonly cause: unknown } | undefined

  constructor (options: SessionSaverOptions) {
    this.#options = options
  }

  /** Makes a group durable. Neither this nor `maintain` may be called before the last call settled and its changes are in the table. */
  async save (changes: ChangedRows): Promise<void> {
    try {
      if (this.#options.lines.isWithin(EXACT, changes)) await this.#saveInFile(changes)
      else await this.#saveInJournal(changes)
      this.#isTroubled = false
      this.#refusal = undefined
    } catch (error) {
      this.#isTroubled = true
      throw error
    }
  }

  /** Writes what is due: after a failure what tells that the disk works again, else what the journal is ahead. */
  async maintain (): Promise<void> {
    const { journals, follower } = this.#options
    this.#refusal = undefined
    // A journal breaks without a group being refused where the checksum of the new file could not be recorded.
    if (this.#isFileNeeded) await this.#rewriteForAll({ overwrites: false })
    // The journal is sound, and what was refused is taken back there.
    else if (this.#isTroubled) await journals.append([])
    this.#isTroubled = false
    await follower.rewriteIfBehind()
  }

  /** Brings the file up to date, after the last `save`, and removes the journal. Where somebody else changed the file, all stays as it is. */
  async stop (): Promise<void> {
    const { journals, follower } = this.#options
    follower.stop()
    if (this.#isTroubled || !journals.isEmpty) await follower.rewriteNow({ overwrites: false })
  }

  /** What was refused may be in the file, or in what is left of the journal. */
  get #isFileNeeded (): boolean {
    const { journals } = this.#options
    return journals.isBroken || (this.#isTroubled && journals.isEmpty)
  }

  async #saveInFile (changes: ChangedRows): Promise<void> {
    const { file, journals, lines, follower } = this.#options
    if (!journals.isEmpty) await follower.rewriteNow({ overwrites: true })
    await file.replace(() => lines.chunks(changes), { overwrites: true })
  }

  async #saveInJournal (changes: ChangedRows): Promise<void> {
    const { file, journals, follower } = this.#options
    if (this.#isFileNeeded || this.#refusal !== undefined) await this.#rewriteForAll({ overwrites: true })
    // Beside the append, which takes longer: a change waits for one of them.
    const look = this.#look()
    const records = formatChanges(changes)
    await journals.start(file.checksums)
    await this.#append(records)
    if (await look !== 'none') await this.#saveOverForeign(changes, records)
    follower.fallBehind()
  }

  /** The journal does not continue somebody else's file: the file has to be ours before the change can be saved. */
  async #saveOverForeign (changes: ChangedRows, records: readonly string[]): Promise<void> {
    const { file, journals, lines } = this.#options
    // Else it comes back although it is refused, should that file go away again.
    await journals.append(formatChanges(lines.findBefore(changes)))
    await this.#rewriteForAll({ overwrites: true })
    await journals.start(file.checksums)
    await journals.append(records)
  }

  /** A look that fails refuses no change: what the journal has is saved, and the rewrite looks again. */
  async #look (): Promise<ForeignChange> {
    const { file, follower } = this.#options
    try {
      return await file.findForeignChange()
    } catch (error) {
      follower.report(error)
      return 'none'
    }
  }

  /** A rewrite may take the room that a record needs, until it fails for want of room itself: no reason to refuse a change. */
  async #append (records: readonly string[]): Promise<void> {
    const { journals, follower: { rewriting } } = this.#options
    try {
      await journals.append(records)
    } catch (error) {
      if (rewriting === undefined || journals.isBroken) throw error
      await rewriting
      await journals.append(records)
    }
  }

  /** For all changes that wait for it: where it fails, they are refused without another attempt until the next `maintain`. */
  async #rewriteForAll (options: { overwrites: boolean }): Promise<void> {
    if (this.#refusal !== undefined) throw this.#refusal.cause
    try {
      await this.#options.follower.rewriteNow(options)
    } catch (cause) {
      this.#refusal = { cause }
      throw cause
    }
  }
}
