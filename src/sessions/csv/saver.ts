import type { Log } from '../../log.ts'
import type { ForeignChange, SessionFile } from './file.ts'
import { explainErrno } from './files.ts'
import { formatChanges } from './journal-text.ts'
import type { Journals } from './journals.ts'
import type { ChangedRows, RowLines } from './row-lines.ts'

/** Up to here the file itself holds a change before it is acknowledged. */
const EXACT = { sessions: 1000, bytes: 1024 * 1024 }

/**
 * How long the file may lag before it is rewritten, by how long a rewrite keeps the event loop busy. Forty times that costs little more than two
 * percent of a core; four seconds keep the file fresh where that would be longer; nine times is the most that a rewrite may cost: a tenth of a core.
 */
const LAG = { minMs: 250, perWork: 40, maxMs: 4000, leastPerWork: 9 }

/** What changes are saved with. */
export interface SessionSaverOptions {
  readonly file: SessionFile
  readonly journals: Journals
  readonly lines: RowLines
  /** Asks for a call of `maintain` between two groups. */
  readonly wake: () => void
  /** Pause before a rewrite that failed is tried again. */
  readonly retryMs: number
  readonly log: Log
}

/**
 * Makes groups of changes durable, one group at a time.
 *
 * *Promise.* While the table is small, the file holds a group when `save` resolves. Beyond, the journal holds it, and the file follows: a rewrite
 * begins a quarter of a second after the first change that it lacks; where it takes long, later. What somebody else made of the file stays until a
 * session changes after that; that change then finds it, and has the file of its own before it is acknowledged.
 * After a failure nothing is acknowledged before the disk has taken a record of a sound journal, or else a complete new file.
 *
 * *Not promised.* That a change which was refused is gone: where the disk fails while a change is taken back, it may be found after a crash.
 */
export class SessionSaver {
  readonly #options: SessionSaverOptions
  #isTroubled = false
  /** Why no complete file could be written; the next attempt is for `maintain`, since each writes the whole table. */
  #refusal: { readonly cause: unknown } | undefined
  #lag: string | undefined
  /** Whether the journal holds what the file lacks. */
  #isBehind = false
  #rewriting: Promise<void> | undefined
  #rewriteTimer: NodeJS.Timeout | undefined
  /** How long the last rewrite kept the event loop busy. */
  #workMs = 0
  #isStopped = false

  constructor (options: SessionSaverOptions) {
    this.#options = options
  }

  /** Why the file does not follow its journal; undefined when it does. */
  get lag (): string | undefined {
    return this.#lag
  }

  /** Pause before what failed is tried again: an attempt may cost as much as a rewrite. */
  get retryMs (): number {
    return Math.max(this.#options.retryMs, LAG.leastPerWork * this.#workMs)
  }

  /** Makes a group durable. Neither this nor `maintain` may be called before the last call settled and its changes are in the table. */
  async save (changes: ChangedRows): Promise<void> {
    try {
      if (this.#options.lines.isWithin(EXACT, changes)) await this.#saveInFile(changes)
      else await this.#saveInJournal(changes)
      this.#isTroubled = false
    } catch (error) {
      this.#isTroubled = true
      throw error
    }
  }

  /** Writes what is due: after a failure what tells that the disk works again, else what the journal is ahead. */
  async maintain (): Promise<void> {
    this.#refusal = undefined
    // A journal breaks without a group being refused where the checksum of the new file could not be recorded.
    if (this.#isFileNeeded) await this.#rewriteForAll({ overwrites: false })
    // The journal is sound, and holds nothing that was refused.
    else if (this.#isTroubled) await this.#options.journals.append([])
    else if (this.#isBehind && this.#rewriting === undefined) await this.#beginRewrite()
    this.#isTroubled = false
  }

  /** Brings the file up to date, after the last `save`, and removes the journal. Where somebody else changed the file, all stays as it is. */
  async stop (): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#rewriteTimer)
    if (this.#isTroubled || !this.#options.journals.isEmpty) await this.#rewriteNow({ overwrites: false })
  }

  /** What was refused may be in the file, or in what is left of the journal. */
  get #isFileNeeded (): boolean {
    const { journals } = this.#options
    return journals.isBroken || (this.#isTroubled && journals.isEmpty)
  }

  async #saveInFile (changes: ChangedRows): Promise<void> {
    const { file, journals, lines } = this.#options
    if (!journals.isEmpty) await this.#rewriteNow({ overwrites: true })
    await file.replace(() => lines.chunks(changes), { overwrites: true })
  }

  async #saveInJournal (changes: ChangedRows): Promise<void> {
    const { file, journals } = this.#options
    if (this.#isFileNeeded) await this.#rewriteForAll({ overwrites: true })
    // Beside the append, which takes longer: a change waits for one of them.
    const look = this.#look()
    const lines = formatChanges(changes)
    await journals.start(file.checksums)
    await this.#append(lines)
    if (await look !== 'none') {
      // The journal does not continue somebody else's file.
      await this.#rewriteNow({ overwrites: true })
      await journals.start(file.checksums)
      await journals.append(lines)
    }
    this.#isBehind = true
    if (this.#rewriteTimer === undefined && this.#rewriting === undefined) this.#schedule(this.#lagMs)
  }

  /** A rewrite may take the room that a record needs, until it fails for want of room itself: no reason to refuse a change. */
  async #append (lines: readonly string[]): Promise<void> {
    const { journals } = this.#options
    const rewriting = this.#rewriting
    try {
      await journals.append(lines)
    } catch (error) {
      if (rewriting === undefined || journals.isBroken) throw error
      await rewriting
      await journals.append(lines)
    }
  }

  /** A look that fails refuses no change: what the journal has is saved, and the rewrite looks again. */
  async #look (): Promise<ForeignChange> {
    try {
      return await this.#options.file.findForeignChange()
    } catch (error) {
      this.#failToFollow(error)
      return 'none'
    }
  }

  /** How long the file may lag before it is rewritten. */
  get #lagMs (): number {
    return Math.max(LAG.minMs, LAG.leastPerWork * this.#workMs, Math.min(LAG.perWork * this.#workMs, LAG.maxMs))
  }

  #schedule (delayMs: number): void {
    clearTimeout(this.#rewriteTimer)
    if (this.#isStopped) return
    this.#rewriteTimer = setTimeout(() => {
      this.#rewriteTimer = undefined
      this.#options.wake()
    }, delayMs)
    // What the journal holds is safe: a process that has nothing else to do may end.
    this.#rewriteTimer.unref()
  }

  /** The next changes go into a new journal at once; the file is written beside them. */
  async #beginRewrite (): Promise<void> {
    const { file, journals } = this.#options
    try {
      if (await file.findForeignChange() !== 'none') return this.#follow()
      await journals.rotate()
    } catch (error) {
      this.#failToFollow(error)
      return
    }
    this.#isBehind = false
    this.#rewriting = this.#rewriteBeside().finally(() => { this.#rewriting = undefined })
  }

  async #rewriteBeside (): Promise<void> {
    const { journals } = this.#options
    try {
      const isReplaced = await this.#replaceFile({ overwrites: false, announce: (sha256) => journals.recordFile(sha256) })
      if (isReplaced) await journals.dropOlder()
      this.#follow()
      if (this.#isBehind) this.#schedule(this.#lagMs)
      if (!isReplaced) this.#isBehind = true
    } catch (error) {
      this.#isBehind = true
      this.#failToFollow(error)
    }
  }

  /** For all changes that wait for it: where it fails, they are refused without another attempt until the next `maintain`. */
  async #rewriteForAll (options: { overwrites: boolean }): Promise<void> {
    if (this.#refusal !== undefined) throw this.#refusal.cause
    try {
      await this.#rewriteNow(options)
    } catch (cause) {
      this.#refusal = { cause }
      throw cause
    }
  }

  /** Writes the complete file while no group is being saved, so that it needs no journal. */
  async #rewriteNow ({ overwrites }: { overwrites: boolean }): Promise<void> {
    await this.#rewriting
    const { journals } = this.#options
    // Else a crash before the journal is removed has it set aside as a stranger. A broken one can only have that.
    const announce = async (sha256: string): Promise<void> => {
      if (!journals.isEmpty && !journals.isBroken) await journals.recordFile(sha256)
    }
    if (!await this.#replaceFile({ overwrites, announce })) return
    await journals.drop()
    this.#isBehind = false
    this.#follow()
  }

  /** Resolves to false where somebody else changed the file and it is not to be overwritten. */
  async #replaceFile (options: { overwrites: boolean, announce: (sha256: string) => Promise<void> }): Promise<boolean> {
    const { file, lines } = this.#options
    const { isReplaced, workMs } = await file.replace(() => lines.chunks(), options)
    this.#workMs = workMs
    return isReplaced
  }

  #follow (): void {
    if (this.#lag !== undefined) this.#options.log.info({}, 'The session file can be rewritten again')
    this.#lag = undefined
  }

  #failToFollow (error: unknown): void {
    const { journals, log } = this.#options
    const reason = explainErrno(error)
    const what = journals.isBroken ? 'The journal of the session file broke' : 'Changes are saved in the journal, but the session file cannot be rewritten'
    if (this.#lag !== reason) log.error({ err: error }, `${what}: ${reason}`)
    this.#lag = reason
    this.#schedule(this.retryMs)
  }
}
