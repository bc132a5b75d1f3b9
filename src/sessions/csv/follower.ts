import type { Log } from '../../log.ts'
import type { SessionFile } from './file.ts'
import { explainErrno } from './files.ts'
import type { Journals } from './journals.ts'
import type { RowLines } from './row-lines.ts'

/**
 * How long the file may lag before it is rewritten, by how long a rewrite keeps the event loop busy. Forty times that costs little more than two
 * percent of a core; four seconds keep the file fresh where that would be longer; nine times is the most that a rewrite may cost: a tenth of a core.
 */
const LAG = { minMs: 250, perWork: 40, maxMs: 4000, leastPerWork: 9 }

/** What a file is brought up to date with. */
export interface FileFollowerOptions {
  readonly file: SessionFile
  readonly journals: Journals
  readonly lines: RowLines
  /** Asks for a call of `rewriteIfBehind` between two groups. */
  readonly wake: () => void
  /** Pause before a rewrite that failed is tried again. */
  readonly retryMs: number
  readonly log: Log
}

/**
 * Lets the session file follow its journal.
 *
 * *Promise.* A rewrite begins a quarter of a second after the first change that the file lacks; where it takes long, later. It runs beside the
 * changes that come meanwhile. What somebody else made of the file stays.
 */
export class FileFollower {
  readonly #options: FileFollowerOptions
  #lag: string | undefined
  /** Since when the journal has held what the file lacks, and no rewrite has begun; undefined if it does not. */
  #behindSinceMs: number | undefined
  /** The same, of what the rewrite that runs is about to bring. */
  #rewritingSinceMs: number | undefined
  #rewriting: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  /** How long the last rewrite kept the event loop busy. */
  #workMs = 0
  #isStopped = false

  constructor (options: FileFollowerOptions) {
    this.#options = options
  }

  /** Why the file does not follow its journal; undefined when it does. */
  get lag (): string | undefined {
    return this.#lag
  }

  /** For how long the file has lacked what the journal holds; 0 if it lacks nothing. */
  get lagMs (): number {
    const sinceMs = this.#rewritingSinceMs ?? this.#behindSinceMs
    return sinceMs === undefined ? 0 : performance.now() - sinceMs
  }

  /** The rewrite that runs beside the changes, if one does. It never rejects. */
  get rewriting (): Promise<void> | undefined {
    return this.#rewriting
  }

  /** Pause before what failed is tried again: an attempt may cost as much as a rewrite. */
  get retryMs (): number {
    return Math.max(this.#options.retryMs, LAG.leastPerWork * this.#workMs)
  }

  /** The journal has what the file has not. */
  fallBehind (): void {
    this.#behindSinceMs ??= performance.now()
    if (this.#timer === undefined && this.#rewriting === undefined) this.#schedule(this.#lagMs)
  }

  /** Begins a rewrite if one is due: the next changes go into a new journal at once, and the file is written beside them. */
  async rewriteIfBehind (): Promise<void> {
    if (this.#behindSinceMs === undefined || this.#rewriting !== undefined) return
    const { file, journals } = this.#options
    try {
      if (await file.findForeignChange() !== 'none') return this.#leaveForeign()
      await journals.rotate()
    } catch (error) {
      this.report(error)
      return
    }
    this.#rewritingSinceMs = this.#behindSinceMs
    this.#behindSinceMs = undefined
    this.#rewriting = this.#rewriteBeside()
  }

  /** Writes the complete file while no group is being saved, so that it needs no journal. Where others changed it, only if it `overwrites`. */
  async rewriteNow ({ overwrites }: { overwrites: boolean }): Promise<void> {
    await this.#rewriting
    const { journals } = this.#options
    // Else a crash before the journal is removed has it set aside as a stranger. A broken one can only have that.
    const announce = async (sha256: string): Promise<void> => {
      if (!journals.isEmpty && !journals.isBroken) await journals.recordFile(sha256)
    }
    if (!await this.#replaceFile({ overwrites, announce })) return
    await journals.drop()
    this.#behindSinceMs = undefined
    this.#catchUp()
  }

  /** Says why the file does not follow, once, and tries again later. */
  report (error: unknown): void {
    const { journals, log } = this.#options
    const reason = explainErrno(error)
    const what = journals.isBroken ? 'The journal of the session file broke' : 'Changes are saved in the journal, but the session file cannot be rewritten'
    if (this.#lag !== reason) log.error({ err: error }, `${what}: ${reason}`)
    this.#lag = reason
    this.#schedule(this.retryMs)
  }

  /** No rewrite begins by itself any more. */
  stop (): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  async #rewriteBeside (): Promise<void> {
    const { journals } = this.#options
    try {
      if (await this.#replaceFile({ overwrites: false, announce: (sha256) => journals.recordFile(sha256) })) {
        await journals.dropOlder()
        this.#rewritingSinceMs = undefined
        this.#catchUp()
      } else {
        this.#leaveForeign()
      }
    } catch (error) {
      this.report(error)
    }
    // What the rewrite did not bring is behind still.
    this.#behindSinceMs = this.#rewritingSinceMs ?? this.#behindSinceMs
    this.#rewritingSinceMs = undefined
    this.#rewriting = undefined
    if (this.#behindSinceMs !== undefined && this.#timer === undefined) this.#schedule(this.#lagMs)
  }

  /** Whoever put another file there may take it away again. */
  #leaveForeign (): void {
    this.#catchUp()
    this.#schedule(Math.max(LAG.maxMs, this.#lagMs))
  }

  /** Resolves to false where somebody else changed the file and it is not to be overwritten. */
  async #replaceFile (options: { overwrites: boolean, announce: (sha256: string) => Promise<void> }): Promise<boolean> {
    const { file, lines } = this.#options
    const { isReplaced, workMs } = await file.replace(() => lines.chunks(), options)
    this.#workMs = workMs
    return isReplaced
  }

  #catchUp (): void {
    if (this.#lag !== undefined) this.#options.log.info({}, 'The session file can be rewritten again')
    this.#lag = undefined
  }

  /** How long the file may lag before it is rewritten. */
  get #lagMs (): number {
    return Math.max(LAG.minMs, LAG.leastPerWork * this.#workMs, Math.min(LAG.perWork * this.#workMs, LAG.maxMs))
  }

  #schedule (delayMs: number): void {
    clearTimeout(this.#timer)
    if (this.#isStopped) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#options.wake()
    }, delayMs)
    // What the journal holds is safe: a process that has nothing else to do may end.
    this.#timer.unref()
  }
}
